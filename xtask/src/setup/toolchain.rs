//! The compiler for the eBPF crate.
//!
//! The crate needs `core` from source: a compiler with its library sources beside it. Debian's
//! `rustc-web` has them, and a rustup nightly with the component `rust-src`.

use super::{Need, linker};
use std::process::Command;
use xtask::shell;

/// The name under which rustup knows Debian's compiler.
const NAME: &str = "nve-ebpf";
pub(super) const LLVM: u32 = 22;

/// Debian's compiler, its sources, and the LLVM that bpf-linker is built against.
pub(super) const PACKAGES: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "llvm-22-dev",
    "libpolly-22-dev",
];

/// Which compiler builds the eBPF crate. The order is the one `dataplane-user/build.rs` has.
pub(super) enum State {
    /// Usable as it is.
    Found(Compiler),
    /// Debian's compiler is there, but rustup does not know it.
    Unlinked,
    /// None at all.
    Wanted,
}

/// A compiler with library sources.
pub(super) struct Compiler {
    /// The command line that runs it, up to its own arguments.
    pub(super) rustc: Vec<&'static str>,
    /// The major version of the LLVM inside.
    pub(super) llvm: u32,
}

pub(super) fn find() -> State {
    if shell::which("rustup").is_none() {
        return usable(vec!["rustc"]).map_or(State::Wanted, State::Found);
    }
    let through_rustup = |name| usable(vec!["rustup", "run", name, "rustc"]);
    if let Some(compiler) = [NAME, "nightly"].into_iter().find_map(through_rustup) {
        return State::Found(compiler);
    }
    match usable(vec!["/usr/bin/rustc"]) {
        Some(_) => State::Unlinked,
        None => State::Wanted,
    }
}

pub(super) fn needs(state: &State, debian: bool) -> Vec<Need> {
    match state {
        State::Found(compiler) => linker::need(compiler, debian).into_iter().collect(),
        State::Unlinked => vec![link()],
        // The packages come with the other packages.
        State::Wanted if debian && shell::which("rustup").is_some() => {
            vec![link(), linker::debian()]
        }
        State::Wanted if debian => vec![linker::debian()],
        State::Wanted => vec![nightly(), linker::advised()],
    }
}

/// The compiler, if its library sources are there and it is not too old for the crates.
fn usable(rustc: Vec<&'static str>) -> Option<Compiler> {
    let (program, args) = rustc.split_first()?;
    let ask = |question| shell::ask(program, &[args, &[question]].concat());
    let sources = format!(
        "{}/lib/rustlib/src/rust/library/core/Cargo.toml",
        ask("--print=sysroot")?
    );
    if !std::path::Path::new(&sources).exists() {
        return None;
    }
    let version = ask("-vV")?;
    if field(&version, "release: ")? < (1, 95) {
        return None;
    }
    let (llvm, _) = field(&version, "LLVM version: ")?;
    Some(Compiler { rustc, llvm })
}

/// Major and minor of a line of `rustc -vV`.
fn field(version: &str, name: &str) -> Option<(u32, u32)> {
    let value = version.lines().find_map(|line| line.strip_prefix(name))?;
    let mut parts = value.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn link() -> Need {
    let mut command = Command::new("rustup");
    command.args(["toolchain", "link", NAME, "/usr"]);
    Need {
        what: format!("rustup toolchain {NAME} (Debian's compiler, with library sources)"),
        fix: vec![command],
        root: false,
        automatic: true,
    }
}

fn nightly() -> Need {
    let mut command = Command::new("rustup");
    command.args(["toolchain", "install", "nightly", "--component", "rust-src"]);
    Need {
        what: "a Rust compiler with library sources (rust-src), for the eBPF crate".into(),
        fix: vec![command],
        root: false,
        automatic: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_reads_major_and_minor() {
        let version = "rustc 1.96.0\nrelease: 1.96.0-nightly\nLLVM version: 22.1.8\n";
        assert_eq!(field(version, "release: "), Some((1, 96)));
        assert_eq!(field(version, "LLVM version: "), Some((22, 1)));
        assert_eq!(field(version, "host: "), None);
    }
}
