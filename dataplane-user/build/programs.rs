//! Builds a package of programs for the BPF target, for every build script that needs one.
//!
//! `aya-build` does the same with flags of its own. The product wants `-Ctarget-cpu=v3`: 32-bit
//! arithmetic and jumps, which every kernel from 5.1 on has (docs/levers.md has what it brings).

use std::{env, ffi::OsString, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

use crate::toolchain;

/// Between flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Builds the package in `folder` for a processor, as `-Ctarget-cpu` has it, and puts its program
/// `bin` where `include_bytes!` finds it.
pub(crate) fn build(package: &str, folder: &str, (bin, cpu): (&str, &str)) -> Result<()> {
    println!("cargo:rerun-if-changed={folder}");
    let out = PathBuf::from(variable("OUT_DIR")?);
    // Not the folder of the build that waits for this one: that is locked.
    let folder = out.join("programs");
    let target = target()?;
    let mut cargo = cargo(toolchain::choose()?);
    cargo.args(["build", "--release", "-Zbuild-std=core", "--bin", bin]);
    cargo.args(["--package", package, "--target", target]);
    cargo.arg("--target-dir").arg(&folder);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(cpu)?);
    // They are of the other compiler.
    for name in ["RUSTC", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(name);
    }
    let status = cargo
        .status()
        .with_context(|| format!("cannot run {cargo:?}"))?;
    ensure!(status.success(), "{cargo:?}: {status}");
    let built = folder.join(target).join("release").join(bin);
    fs::copy(&built, out.join(bin)).with_context(|| built.display().to_string())?;
    Ok(())
}

fn cargo(toolchain: &str) -> Command {
    if toolchain::has("rustup", &["--version"]) {
        let mut rustup = Command::new("rustup");
        rustup.args(["run", toolchain, "cargo"]);
        rustup
    } else {
        Command::new("cargo")
    }
}

/// The BPF target of the byte order that the rest is built for.
fn target() -> Result<&'static str> {
    let big = variable("CARGO_CFG_TARGET_ENDIAN")? == "big";
    Ok(if big {
        "bpfeb-unknown-none"
    } else {
        "bpfel-unknown-none"
    })
}

fn flags(cpu: &str) -> Result<String> {
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let arch = arch.to_string_lossy();
    let arch = format!("--cfg=bpf_target_arch=\"{arch}\"");
    let cpu = format!("-Ctarget-cpu={cpu}");
    let flags = [&arch, "-Cdebuginfo=2", "-Clink-arg=--btf", &cpu];
    Ok(flags.join(SEPARATOR))
}

fn variable(name: &str) -> Result<OsString> {
    env::var_os(name).with_context(|| format!("{name} is not set: this is for build scripts"))
}
