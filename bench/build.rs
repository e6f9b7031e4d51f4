//! Builds the eBPF object of the generator, the sinks and the twins.

#[path = "../dataplane-user/build/programs.rs"]
mod programs;
#[path = "../dataplane-user/build/toolchain.rs"]
mod toolchain;

use anyhow::Result;

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=../dataplane-user/build");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf");
    // Of `v3` the verifier refuses the program that drives others.
    programs::build("dataplane-bench-ebpf", folder, ("bench", "generic"))
}
