//! Distribution packages: compilers for the build, tools for the tests and the demo.

use super::Need;
use std::path::Path;
use std::process::Command;
use xtask::shell;

/// What the build links, and what tests and demo run.
const PACKAGES: [&str; 13] = [
    "build-essential",
    "pkg-config",
    "libelf-dev",
    "zlib1g-dev",
    "iproute2",
    "ethtool",
    "tcpdump",
    "tshark",
    "iperf3",
    "iputils-ping",
    "curl",
    "dropbear-bin",
    "systemd",
];

/// The same on a machine without dpkg: a file that shows that the package is there.
const WITNESSES: [(&str, &str); 13] = [
    ("a C compiler", "cc"),
    ("pkg-config", "pkg-config"),
    ("libelf headers", "/usr/include/libelf.h"),
    ("zlib headers", "/usr/include/zlib.h"),
    ("iproute2", "ip"),
    ("ethtool", "ethtool"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("iperf3", "iperf3"),
    ("ping", "ping"),
    ("curl", "curl"),
    ("dropbear", "dropbear"),
    ("systemd", "systemd-analyze"),
];

/// Is this a system whose packages we know?
pub(super) fn debian() -> bool {
    shell::which("apt-get").is_some() && shell::which("dpkg-query").is_some()
}

/// The packages that are not installed, as one need. `toolchain`: include Debian's rustc and LLVM.
pub(super) fn need(debian: bool, toolchain: bool) -> Option<Need> {
    if !debian {
        return need_elsewhere();
    }
    let mut wanted = PACKAGES.to_vec();
    if toolchain {
        wanted.extend(super::toolchain::PACKAGES);
    }
    let missing = not_installed(&wanted);
    if missing.is_empty() {
        return None;
    }
    let mut install = apt(&["install", "-y", "--no-install-recommends"]);
    install.args(&missing);
    Some(Need {
        what: format!("packages {}", missing.join(" ")),
        fix: vec![apt(&["update"]), install],
        root: true,
        automatic: true,
    })
}

fn need_elsewhere() -> Option<Need> {
    let there = |file: &str| match file.strip_prefix('/') {
        Some(_) => Path::new(file).exists(),
        None => shell::which(file).is_some(),
    };
    let missing: Vec<_> = WITNESSES
        .iter()
        .filter(|(_, file)| !there(file))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return None;
    }
    let mut install = Command::new("apt-get");
    install.arg("install").args(PACKAGES);
    Some(Need {
        what: format!(
            "{} (with another package manager than apt, install what bears these names there)",
            missing.join(", ")
        ),
        fix: vec![install],
        root: true,
        automatic: false,
    })
}

fn not_installed<'a>(wanted: &[&'a str]) -> Vec<&'a str> {
    let format = "-f=${Package} ${db:Status-Status}\n";
    let mut query = Command::new("dpkg-query");
    // It fails when it does not know one of the names, and still lists the others.
    let listed = query.args(["-W", format]).args(wanted).output();
    let listed = listed.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let listed = listed.unwrap_or_default();
    let installed = |name: &str| {
        listed
            .lines()
            .any(|line| line == format!("{name} installed"))
    };
    wanted
        .iter()
        .copied()
        .filter(|name| !installed(name))
        .collect()
}

fn apt(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // tshark asks whether everybody may capture; no is the default and right.
    command
        .arg("-q")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_installed_finds_the_unknown_name() {
        if !debian() {
            return;
        }
        let missing = not_installed(&["dpkg", "no-such-package-here"]);
        assert_eq!(missing, ["no-such-package-here"]);
    }
}
