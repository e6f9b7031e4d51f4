//! What the machine must have before anything is loaded; each lack says what to do.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use aya::util::KernelVersion;
use rustix::{
    fs::statfs,
    mount::{MountFlags, mount},
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CapabilitySet, capabilities},
};

use crate::settings::{KeepAlive, Settings, TcHook};

/// A missing privilege or kernel feature (exit code 7).
#[derive(Debug, thiserror::Error)]
pub enum Lack {
    /// A processor that keeps loads and stores in order.
    #[error(
        "nved runs on x86-64, and this is {found}: programs read the lookup records while nved writes them, and rely on the order in which an x86 loads and stores"
    )]
    Processor {
        /// What this was built for.
        found: &'static str,
    },
    /// Capabilities.
    #[error("nved lacks {missing}; run it as root, or give it these capabilities too")]
    Capabilities {
        /// Their names.
        missing: String,
    },
    /// BTF of the kernel.
    #[error(
        "the kernel has no BTF ({path} is not there); use one built with CONFIG_DEBUG_INFO_BTF"
    )]
    Btf {
        /// Where it was looked for.
        path: &'static str,
    },
    /// Locked memory.
    #[error(
        "locked memory is limited to {limit} bytes, and kernel {kernel} charges maps to that; set `ulimit -l unlimited` (systemd: LimitMEMLOCK=infinity), or give nved CAP_SYS_RESOURCE"
    )]
    Memlock {
        /// The limit, bytes.
        limit: u64,
        /// The running kernel.
        kernel: String,
    },
    /// A setting for later kernels.
    #[error("{flag} needs kernel {since}, and this is {kernel}; use the default, auto")]
    Setting {
        /// The flag with its value.
        flag: &'static str,
        /// The first kernel that can do it.
        since: &'static str,
        /// The running kernel.
        kernel: String,
    },
    /// A file system for pins.
    #[error(
        "cannot mount a bpf file system on {path}: {source}; mount one there (`mount -t bpf bpf {path}`) or name another with --pin",
        path = path.display()
    )]
    Bpffs {
        /// The mount point.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Checks privileges and BTF, and raises the limit on locked memory.
pub fn machine() -> Result<(), Lack> {
    check_processor(env::consts::ARCH)?;
    check_capabilities()?;
    if !Path::new(VMLINUX_BTF).exists() {
        return Err(Lack::Btf { path: VMLINUX_BTF });
    }
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    if let Err(error) = setrlimit(Resource::Memlock, unlimited) {
        tracing::debug!("limit on locked memory stays as it is: {error}");
    }
    let limit = getrlimit(Resource::Memlock).current;
    // If the version cannot be read, the first system call will tell.
    KernelVersion::current().map_or(Ok(()), |kernel| check_memlock(kernel, limit))
}

const fn check_processor(found: &'static str) -> Result<(), Lack> {
    if matches!(found.as_bytes(), b"x86_64") {
        return Ok(());
    }
    Err(Lack::Processor { found })
}

/// Checks that the kernel can do what the settings ask for. Found out later, a dataplane that
/// runs already would have lost its uplinks.
pub fn settings(settings: &Settings) -> Result<(), Lack> {
    let (hook, neighbours) = (settings.tc_hook, settings.neighbours);
    KernelVersion::current().map_or(Ok(()), |kernel| check_version(kernel, hook, neighbours))
}

fn check_version(kernel: KernelVersion, hook: TcHook, neighbours: KeepAlive) -> Result<(), Lack> {
    let lack = |flag, since| Lack::Setting {
        flag,
        since,
        kernel: release(),
    };
    if hook == TcHook::Tcx && kernel < KernelVersion::new(6, 6, 0) {
        return Err(lack("--tc-hook tcx", "6.6"));
    }
    if neighbours == KeepAlive::Managed && kernel < KernelVersion::new(5, 16, 0) {
        return Err(lack("--neighbours managed", "5.16"));
    }
    Ok(())
}

/// What the running kernel calls itself.
fn release() -> String {
    let name = rustix::system::uname();
    name.release().to_string_lossy().into_owned()
}

/// Makes sure that `pin` lies on a bpffs; mounts one on `/sys/fs/bpf` if it lies
/// below that, else on `pin` itself.
pub fn bpffs(pin: &Path) -> Result<(), Lack> {
    if nearest(pin).is_some_and(is_bpffs) {
        return Ok(());
    }
    let root = if pin.starts_with(SYS_FS_BPF) {
        Path::new(SYS_FS_BPF)
    } else {
        pin
    };
    let lack = |source| Lack::Bpffs {
        path: root.to_owned(),
        source,
    };
    std::fs::create_dir_all(root).map_err(lack)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", root, "bpf", flags, c"mode=0700").map_err(|errno| lack(errno.into()))?;
    tracing::info!("mounted a bpf file system on {}", root.display());
    Ok(())
}

/// Maps are charged to this limit before kernel 5.11, and to the memory cgroup since.
fn check_memlock(kernel: KernelVersion, limit: Option<u64>) -> Result<(), Lack> {
    match limit {
        Some(limit) if kernel < KernelVersion::new(5, 11, 0) => Err(Lack::Memlock {
            limit,
            kernel: release(),
        }),
        Some(_) | None => Ok(()),
    }
}

const VMLINUX_BTF: &str = "/sys/kernel/btf/vmlinux";
const SYS_FS_BPF: &str = "/sys/fs/bpf";
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

fn check_capabilities() -> Result<(), Lack> {
    // If they cannot be read, the first system call will tell.
    let Ok(sets) = capabilities(None) else {
        return Ok(());
    };
    let missing = missing_capabilities(sets.effective);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Lack::Capabilities {
        missing: missing.join(", "),
    })
}

/// `CAP_SYS_ADMIN` is for the bpf file system and for tenants' namespaces; as in the
/// kernel, it includes `CAP_BPF` and `CAP_PERFMON`. `CAP_NET_RAW` is for sockets of the slow path.
fn missing_capabilities(have: CapabilitySet) -> Vec<&'static str> {
    let admin = CapabilitySet::SYS_ADMIN;
    let needs = [
        ("CAP_BPF", CapabilitySet::BPF | admin),
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
        ("CAP_NET_RAW", CapabilitySet::NET_RAW),
        ("CAP_PERFMON", CapabilitySet::PERFMON | admin),
        ("CAP_SYS_ADMIN", admin),
    ];
    let missing = needs.iter().filter(|(_, any)| !have.intersects(*any));
    missing.map(|(name, _)| *name).collect()
}

fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.exists())
}

fn is_bpffs(path: &Path) -> bool {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the width of f_type depends on the architecture"
    )]
    statfs(path).is_ok_and(|fs| fs.f_type as i64 == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processors_are_refused() {
        assert!(check_processor("x86_64").is_ok());
        let refused = check_processor("aarch64").map_err(|lack| lack.to_string());
        let told = "nved runs on x86-64, and this is aarch64: ";
        assert!(refused.is_err_and(|text| text.starts_with(told)));
    }

    #[test]
    fn missing_capabilities_are_named() {
        let none = missing_capabilities(CapabilitySet::empty());
        assert_eq!(
            none,
            [
                "CAP_BPF",
                "CAP_NET_ADMIN",
                "CAP_NET_RAW",
                "CAP_PERFMON",
                "CAP_SYS_ADMIN"
            ]
        );
        let net = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
        let few = CapabilitySet::BPF | CapabilitySet::PERFMON | net;
        assert_eq!(missing_capabilities(few), ["CAP_SYS_ADMIN"]);
        let without = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN;
        assert_eq!(missing_capabilities(without), ["CAP_NET_RAW"]);
        let admin = CapabilitySet::SYS_ADMIN | net;
        assert!(missing_capabilities(admin).is_empty());
    }

    #[test]
    fn locked_memory_matters_to_old_kernels_only() {
        let (old, new) = (KernelVersion::new(5, 10, 9), KernelVersion::new(5, 11, 0));
        assert!(check_memlock(new, Some(65_536)).is_ok());
        assert!(check_memlock(old, None).is_ok());
        let lack = check_memlock(old, Some(65_536)).expect_err("too little");
        assert!(lack.to_string().contains("65536 bytes"));
    }

    #[test]
    fn settings_for_later_kernels_are_refused() {
        let kernel = KernelVersion::new;
        let (tcx, managed) = (TcHook::Tcx, KeepAlive::Managed);
        assert!(check_version(kernel(6, 6, 0), tcx, managed).is_ok());
        let lack = check_version(kernel(6, 5, 9), tcx, managed).expect_err("no tcx there");
        assert!(
            lack.to_string()
                .starts_with("--tc-hook tcx needs kernel 6.6, and this is ")
        );
        assert!(check_version(kernel(6, 1, 0), TcHook::Auto, managed).is_ok());
        let lack = check_version(kernel(5, 15, 9), TcHook::Clsact, managed);
        assert!(lack.is_err_and(|lack| lack.to_string().contains("5.16")));
        assert!(check_version(kernel(5, 15, 9), TcHook::Auto, KeepAlive::Probe).is_ok());
    }

    #[test]
    fn the_nearest_existing_folder_is_looked_at() {
        assert_eq!(
            nearest(Path::new("/proc/self/no/such")),
            Some(Path::new("/proc/self"))
        );
        assert!(!is_bpffs(Path::new("/proc")));
    }
}
