//! Builds the eBPF object for `include_bytes!`.
//!
//! `core` has to be compiled for the BPF target, so a compiler with its own
//! sources and the matching linker are needed; `cargo xtask setup` provides both.

#[path = "build/toolchain.rs"]
mod toolchain;

use anyhow::Result;
use aya_build::{Package, Toolchain, build_ebpf};

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=../dataplane-common");
    println!("cargo:rerun-if-changed=build/toolchain.rs");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    let toolchain = toolchain::choose()?;
    let package = Package {
        name: "dataplane-ebpf",
        root_dir: concat!(env!("CARGO_MANIFEST_DIR"), "/../dataplane-ebpf"),
        ..Default::default()
    };
    build_ebpf([package], Toolchain::Custom(toolchain))
}
