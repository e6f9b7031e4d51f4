//! Builds the eBPF object of the generator, the sinks and the twins.

#[path = "../dataplane-user/build/toolchain.rs"]
mod toolchain;

use anyhow::Result;
use aya_build::{Package, Toolchain, build_ebpf};

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=../dataplane-user/build/toolchain.rs");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    let toolchain = toolchain::choose()?;
    let package = Package {
        name: "dataplane-bench-ebpf",
        root_dir: concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf"),
        ..Default::default()
    };
    build_ebpf([package], Toolchain::Custom(toolchain))
}
