//! Settings of nved: flags, then `/etc/nved/nved.toml` (same keys, flags win), then defaults.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use clap::{Parser, ValueEnum};
use serde::Deserialize;

use crate::slowpath::Limits;

mod slow_path;

pub use slow_path::SlowPathFlags;

/// Where the configuration file is looked for when no flag names one.
pub const DEFAULT_CONFIG: &str = "/etc/nved/nved.toml";

/// What nved runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the Host document that this host is.
    pub host: String,
    /// The underlay interfaces.
    pub uplinks: Vec<String>,
    /// The hook on the uplinks.
    pub uplink_mode: UplinkMode,
    /// How TC programs are attached.
    pub tc_hook: TcHook,
    /// Who keeps the neighbours of the underlay alive.
    pub neighbours: KeepAlive,
    /// The store's URL.
    pub store: String,
    /// The control socket.
    pub socket: PathBuf,
    /// The pin folder, on a bpffs.
    pub pin: PathBuf,
    /// The most lookup records of each family; tables are as large as their content needs.
    pub lookup_capacity: u32,
    /// What the slow path may take.
    pub slow_path: Limits,
}

/// The hook that takes frames from an uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UplinkMode {
    /// XDP where the driver has it natively (veth excepted), else TC.
    #[default]
    Auto,
    /// Native XDP, and TC for what XDP leaves.
    Xdp,
    /// TC alone.
    Tc,
}

/// How TC programs are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TcHook {
    /// tcx from kernel 6.6 on, else clsact.
    #[default]
    Auto,
    /// tcx: a pinned link beside other programs.
    Tcx,
    /// A filter on a clsact qdisc.
    Clsact,
}

/// Who keeps the neighbours of the underlay alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepAlive {
    /// The kernel from 5.16 on, else nved.
    #[default]
    Auto,
    /// The kernel, also while nved is gone.
    Managed,
    /// nved, which has the kernel use their entries.
    Probe,
}

/// The flags of nved.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "nved",
    version,
    about = "Agent of a network virtualization edge"
)]
pub struct Flags {
    /// Name of the Host document that this host is
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Underlay interfaces, separated by commas
    #[arg(long, value_name = "IFACE", value_delimiter = ',')]
    pub uplink: Vec<String>,
    /// Hook on the uplinks [default: auto]
    #[arg(long, value_enum)]
    pub uplink_mode: Option<UplinkMode>,
    /// How TC programs are attached [default: auto]
    #[arg(long, value_enum)]
    pub tc_hook: Option<TcHook>,
    /// Who keeps neighbours of the underlay alive: the kernel, or probes of nved [default: auto]
    #[arg(long, value_enum)]
    pub neighbours: Option<KeepAlive>,
    #[arg(
        long,
        value_name = "URL",
        help = "Policy store [default: redb:///var/lib/nved/policy.redb]"
    )]
    pub store: Option<String>,
    /// Control socket [default: /run/nved/nved.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Folder of BPF pins [default: /sys/fs/bpf/nve]
    #[arg(long, value_name = "DIR")]
    pub pin: Option<PathBuf>,
    /// The most lookup records of each family [default: 65536]
    #[arg(long, value_name = "N")]
    pub lookup_capacity: Option<u32>,
    /// Configuration file [default: /etc/nved/nved.toml, if there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The limits of the slow path.
    #[command(flatten)]
    pub slow_path: SlowPathFlags,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The named file cannot be read.
    #[error("configuration file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what is expected.
    #[error("configuration file {path}: {source}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        source: Box<toml::de::Error>,
    },
    /// A setting without a default is missing.
    #[error("{key} is not set; give --{key} or `{key} = ...` in {DEFAULT_CONFIG}")]
    Missing {
        /// The setting.
        key: &'static str,
    },
    /// A number out of range.
    #[error(
        "{key} {value} is out of range; {least}..={most} is valid",
        least = valid.start(),
        most = valid.end()
    )]
    Range {
        /// The setting, as the flag is called.
        key: &'static str,
        /// The number that was given.
        value: u32,
        /// What it may be.
        valid: RangeInclusive<u32>,
    },
    /// A part that is larger than the whole.
    #[error(
        "{part} {value} is more than {whole} {most}, so it would have no effect; lower {part} or raise {whole}"
    )]
    Beyond {
        /// The setting of the part.
        part: &'static str,
        /// Its number.
        value: usize,
        /// The setting of the whole.
        whole: &'static str,
        /// Its number.
        most: usize,
    },
}

impl Flags {
    /// Merges the flags with the configuration file and the defaults.
    pub fn settings(self) -> Result<Settings, SettingsError> {
        let file = match &self.config {
            Some(path) => read(path)?,
            None if Path::new(DEFAULT_CONFIG).exists() => read(Path::new(DEFAULT_CONFIG))?,
            None => File::default(),
        };
        self.merge(file)
    }

    fn merge(self, file: File) -> Result<Settings, SettingsError> {
        let host = self.host.or(file.host).filter(|h| !h.is_empty());
        let uplinks = if self.uplink.is_empty() {
            file.uplink.map(List::into_vec).unwrap_or_default()
        } else {
            self.uplink
        };
        if uplinks.is_empty() {
            return Err(SettingsError::Missing { key: "uplink" });
        }
        let store = self.store.or(file.store);
        let capacity = self.lookup_capacity.or(file.lookup_capacity);
        Ok(Settings {
            host: host.ok_or(SettingsError::Missing { key: "host" })?,
            uplinks,
            uplink_mode: self.uplink_mode.or(file.uplink_mode).unwrap_or_default(),
            tc_hook: self.tc_hook.or(file.tc_hook).unwrap_or_default(),
            neighbours: self.neighbours.or(file.neighbours).unwrap_or_default(),
            store: store.unwrap_or_else(|| "redb:///var/lib/nved/policy.redb".into()),
            socket: self
                .socket
                .or(file.socket)
                .unwrap_or_else(|| "/run/nved/nved.sock".into()),
            pin: self
                .pin
                .or(file.pin)
                .unwrap_or_else(|| "/sys/fs/bpf/nve".into()),
            lookup_capacity: checked("lookup-capacity", capacity.unwrap_or(65536), 1..=1 << 24)?,
            slow_path: self.slow_path.or(file.slow_path).limits()?,
        })
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    host: Option<String>,
    uplink: Option<List>,
    uplink_mode: Option<UplinkMode>,
    tc_hook: Option<TcHook>,
    neighbours: Option<KeepAlive>,
    store: Option<String>,
    socket: Option<PathBuf>,
    pin: Option<PathBuf>,
    lookup_capacity: Option<u32>,
    slow_path: SlowPathFlags,
}

/// `"a,b"` as on the command line, or `["a", "b"]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum List {
    Line(String),
    Array(Vec<String>),
}

impl List {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::Line(line) => line.split(',').map(|s| s.trim().to_owned()).collect(),
            Self::Array(names) => names,
        }
    }
}

fn read(path: &Path) -> Result<File, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| SettingsError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn checked(
    key: &'static str,
    value: u32,
    valid: RangeInclusive<u32>,
) -> Result<u32, SettingsError> {
    if valid.contains(&value) {
        Ok(value)
    } else {
        Err(SettingsError::Range { key, value, valid })
    }
}

#[cfg(test)]
mod tests;
