//! Builds the eBPF object for `include_bytes!`.
//!
//! `core` has to be compiled for the BPF target, so a compiler with its own
//! sources and the matching linker are needed; `cargo xtask setup` provides both.

#[path = "build/programs.rs"]
mod programs;
#[path = "build/toolchain.rs"]
mod toolchain;

use anyhow::Result;

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=../dataplane-common");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../dataplane-ebpf");
    programs::build("dataplane-ebpf", folder, ("nve", "v3"))
}
