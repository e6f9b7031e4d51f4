//! bpf-linker: it reads the compiler's bitcode, so it has to be built for the compiler's LLVM.

use super::Need;
use super::toolchain::{Compiler, LLVM};
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use xtask::{lab, shell};

const VERSION: &str = "0.13.0";

/// bpf-linker, unless there is one that links what this compiler writes.
pub(super) fn need(compiler: &Compiler, debian: bool) -> Option<Need> {
    let bin = shell::cargo_bin();
    if shell::which("bpf-linker").is_none() && bin.join("bpf-linker").is_file() {
        return Some(not_on_path(&bin));
    }
    let version = shell::ask("bpf-linker", &["--version"]);
    let pinned = version.is_some_and(|version| version.contains(VERSION));
    if pinned && links(compiler).unwrap_or(false) {
        return None;
    }
    let ours = debian && compiler.llvm == LLVM;
    Some(if ours {
        self::debian()
    } else {
        built_for(compiler.llvm)
    })
}

/// Built against Debian's LLVM, which the set-up installs.
pub(super) fn debian() -> Need {
    Need {
        automatic: true,
        ..built_for(LLVM)
    }
}

/// For a compiler that is yet to be installed: upstream's default follows rustup's nightly.
pub(super) fn advised() -> Need {
    let mut command = Command::new("cargo");
    command.args(["install", "bpf-linker", "--version", VERSION]);
    Need {
        what: format!("bpf-linker {VERSION}, built for the LLVM of that compiler"),
        fix: vec![command],
        root: false,
        automatic: false,
    }
}

/// rustc looks for it in the PATH, in every build.
fn not_on_path(bin: &Path) -> Need {
    let bin = bin.display();
    Need {
        what: format!("{bin} on the PATH (bpf-linker is in it): export PATH=\"{bin}:$PATH\""),
        fix: Vec::new(),
        root: false,
        automatic: false,
    }
}

fn built_for(llvm: u32) -> Need {
    let mut install = Command::new("cargo");
    install.args([
        "install",
        "bpf-linker",
        "--locked",
        "--force",
        "--version",
        VERSION,
    ]);
    install.args([
        "--no-default-features",
        "--features",
        &format!("llvm-{llvm}"),
    ]);
    install.env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    Need {
        what: format!("bpf-linker {VERSION} built for LLVM {llvm}"),
        fix: vec![install],
        root: false,
        automatic: false,
    }
}

/// Compiles one function to bitcode and lets the linker make a BPF object of it.
fn links(compiler: &Compiler) -> Result<bool> {
    let dir = lab::TempDir::new("linker")?;
    let file = |name: &str| dir.path().join(name);
    std::fs::write(
        file("probe.rs"),
        "#![no_std]\n#[unsafe(no_mangle)]\npub extern \"C\" fn probe(a: u64) -> u64 { a + 1 }\n",
    )?;
    let mut rustc = Command::new(compiler.rustc[0]);
    rustc
        .args(&compiler.rustc[1..])
        .args(["--crate-type=lib", "--emit=llvm-bc", "-Cpanic=abort"]);
    rustc.arg("-o").args([file("probe.bc"), file("probe.rs")]);
    lab::run(&mut rustc)?;
    let mut linker = Command::new("bpf-linker");
    linker.args(["--target=bpfel", "--emit=obj", "--export=probe", "-o"]);
    linker.args([file("probe.o"), file("probe.bc")]);
    Ok(lab::output(&mut linker, lab::PATIENCE)?.status.success())
}
