//! Under which circumstances a run takes place.

use std::{
    collections::BTreeMap,
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use xtask::shell;

use crate::{
    profile::Profile,
    results::row::{FORMAT, MachineKind, Run},
};

/// What a caller knows better than this machine does.
#[derive(Clone, Debug)]
pub struct Told {
    /// What kind of machine this is.
    pub machine: MachineKind,
    /// Of all that is random.
    pub seed: u64,
    /// Commit of the sources, `-dirty` behind it if they were changed; `None`: ask git.
    pub revision: Option<String>,
}

/// The row that begins a run here and now.
pub fn run(profile: &Profile, told: &Told) -> Run {
    let revision = told.revision.clone().unwrap_or_else(revision);
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    Run {
        format: FORMAT,
        dirty: revision.ends_with("-dirty"),
        revision: revision.trim_end_matches("-dirty").to_owned(),
        kernel: kernel(&release),
        machine: told.machine,
        cpu: cpu(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        seed: told.seed,
        profile: profile.name.to_owned(),
        started: now(),
        tools: tools(),
        demands: profile.rules.demands,
    }
}

/// The commit of the checkout, `-dirty` behind it if it has changes.
pub fn revision() -> String {
    let root = shell::root().display().to_string();
    let git = |words: &[&str]| shell::ask("git", &[&["-C", root.as_str()], words].concat());
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
    if changes.is_none_or(|changes| !changes.is_empty()) {
        commit + "-dirty"
    } else {
        commit
    }
}

/// Major and minor version: the rest of a release is its machine's own.
fn kernel(release: &str) -> String {
    let digits = |part: &str| {
        part.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    release
        .split('.')
        .take(2)
        .map(digits)
        .collect::<Vec<_>>()
        .join(".")
}

fn cpu(cpuinfo: &str) -> String {
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|line| Some(line.split_once(':')?.1.trim()));
    model.unwrap_or("unknown CPU").to_owned()
}

/// Versions of the programs that peers and traffic need, as far as they are there.
fn tools() -> BTreeMap<String, String> {
    let version = |program| {
        let said = shell::ask(program, &["--version"])?;
        let word = said
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        Some(word.to_owned())
    };
    let found = [
        ("ovs", version("ovs-vswitchd").or_else(unpacked_ovs)),
        ("iperf3", version("iperf3")),
    ];
    let versions = found
        .into_iter()
        .filter_map(|(name, version)| Some((name.to_owned(), version?)));
    versions.collect()
}

/// The version of the package that is unpacked in the cache, which bears it in its name.
fn unpacked_ovs() -> Option<String> {
    let entries = std::fs::read_dir(xtask::packages::cache_folder().ok()?).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let versions = names.filter_map(|name| {
        let version = name.strip_prefix("openvswitch-switch_")?;
        Some(version.split('-').next()?.to_owned())
    });
    versions.max()
}

fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    rfc3339(since.as_secs())
}

/// Seconds since 1970 as a date of the Gregorian calendar, UTC (Howard Hinnant's `civil_from_days`).
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_has_no_suffix() {
        let kernels = [
            "6.18.44-some-machine",
            "6.12",
            "6.1.0-41-amd64",
            "6.12+bpo-amd64",
        ]
        .map(kernel);
        assert_eq!(kernels, ["6.18", "6.12", "6.1", "6.12"]);
    }

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(4_102_444_799), "2099-12-31T23:59:59Z");
    }

    #[test]
    fn the_cpu_has_its_model_name() {
        assert_eq!(
            cpu("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n"),
            "Some CPU @ 2 GHz"
        );
        assert_eq!(cpu(""), "unknown CPU");
    }
}
