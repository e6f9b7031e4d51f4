//! The compiler for the BPF target, for every build script that needs it.

use std::{env, process::Command};

use anyhow::{Result, bail};

/// Name under which set-up links Debian's compiler into rustup.
const LINKED: &str = "nve-ebpf";

/// The linked compiler (which needs permission for `-Z build-std`), or a nightly
/// that has the sources.
pub(crate) fn choose() -> Result<&'static str> {
    if !has("bpf-linker", &["--version"]) {
        bail!("bpf-linker is missing; run `cargo xtask setup`");
    }
    if !has("rustup", &["--version"]) || has("rustup", &["run", LINKED, "rustc", "--version"]) {
        // SAFETY: a build script's main thread is its only one here.
        unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
        return Ok(LINKED);
    }
    if nightly_has_sources() {
        return Ok("nightly");
    }
    bail!(
        "no compiler for the BPF target (rustup toolchain `{LINKED}`, or a nightly with rust-src); run `cargo xtask setup`"
    )
}

fn nightly_has_sources() -> bool {
    let sysroot = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .output();
    sysroot.is_ok_and(|out| {
        let root = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        std::path::Path::new(&root)
            .join("lib/rustlib/src/rust/library/core")
            .is_dir()
    })
}

pub(crate) fn has(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|out| out.status.success())
}
