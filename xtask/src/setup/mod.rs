//! `cargo xtask setup`: packages, the eBPF toolchain and its linker.
//!
//! Looking is cheap and changes nothing, so every verb that builds calls [`run`] first.

mod linker;
mod packages;
mod toolchain;

use anyhow::{Result, bail};
use std::process::Command;
use xtask::{lab, shell};

/// One thing that is missing, and the commands that put it there.
struct Need {
    what: String,
    fix: Vec<Command>,
    /// The commands change the system, so they need uid 0.
    root: bool,
    /// We can run the commands here; otherwise they are advice.
    automatic: bool,
}

/// Installs what is missing. Silent when nothing is.
pub(crate) fn run() -> Result<()> {
    let missing = needs();
    if missing.is_empty() {
        return Ok(());
    }
    if missing.iter().any(|need| !possible(need)) {
        bail!("{}", advice(&missing));
    }
    for need in missing {
        eprintln!("setup: {}", need.what);
        for mut command in need.fix {
            shell::stream(&mut command)?;
        }
    }
    let still = needs();
    if !still.is_empty() {
        bail!("set-up ran, but {}", advice(&still));
    }
    eprintln!("setup: done");
    Ok(())
}

/// Fails unless the verb can load programs here: uid 0 and a kernel with BTF.
pub(crate) fn need_kernel(verb: &str) -> Result<()> {
    need_root(verb)?;
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        bail!(
            "this kernel has no BTF (/sys/kernel/btf/vmlinux is not there); boot one built with CONFIG_DEBUG_INFO_BTF=y"
        );
    }
    need_bpffs()
}

/// Fails unless the verb may change the kernel's state.
pub(crate) fn need_root(verb: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "`cargo xtask {verb}` changes network devices and eBPF programs, which needs root; run it as root"
        );
    }
    Ok(())
}

/// Most systems mount it at boot; containers often do not.
fn need_bpffs() -> Result<()> {
    if lab::bpffs_mounted() {
        return Ok(());
    }
    eprintln!("setup: the BPF file system, where programs and maps are pinned");
    shell::stream(Command::new("mount").args(["-t", "bpf", "bpf", lab::BPFFS]))
}

fn needs() -> Vec<Need> {
    let toolchain = toolchain::find();
    let debian = packages::debian();
    let mut missing = Vec::new();
    let from_debian = debian && matches!(toolchain, toolchain::State::Wanted);
    missing.extend(packages::need(debian, from_debian));
    missing.extend(toolchain::needs(&toolchain, debian));
    missing
}

fn possible(need: &Need) -> bool {
    need.automatic && (!need.root || rustix::process::geteuid().is_root())
}

/// One message for everything: what is missing and the commands that install it.
fn advice(missing: &[Need]) -> String {
    let mut lines = vec!["this machine lacks what the project needs:".to_owned()];
    lines.extend(missing.iter().map(|need| format!("  - {}", need.what)));
    let mut commands = missing.iter().flat_map(|need| &need.fix).peekable();
    if commands.peek().is_some() {
        let root = missing.iter().any(|need| need.root);
        lines.push(if root { "run, as root:" } else { "run:" }.to_owned());
        lines.extend(commands.map(|command| format!("  {}", with_env(command))));
    }
    lines.push("then try again".to_owned());
    lines.join("\n")
}

fn with_env(command: &Command) -> String {
    let set = command
        .get_envs()
        .filter_map(|(key, value)| Some((key, value?)));
    let set = set.map(|(key, value)| format!("{}={}", key.display(), value.display()));
    set.chain([shell::line(command)])
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_everything_and_every_command() {
        let mut link = Command::new("cargo");
        link.args(["install", "bpf-linker"])
            .env("LLVM_PREFIX", "/usr/lib/llvm-22");
        let missing = [
            Need {
                what: "package tshark".into(),
                fix: vec![Command::new("apt-get")],
                root: true,
                automatic: true,
            },
            Need {
                what: "bpf-linker".into(),
                fix: vec![link],
                root: false,
                automatic: true,
            },
        ];
        let text = advice(&missing);
        for part in [
            "- package tshark",
            "- bpf-linker",
            "as root",
            "  apt-get\n",
            "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}
