//! Debian's archive, asked through apt with lists and downloads of our own, so that the machine's
//! sources and installed packages stay as they are.

use super::mirror::Mirror;
use super::{cache, split};
use crate::lab::{self, TempDir, interrupted};
use crate::shell;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The release that gives everything: one of its kernels is the oldest that we support, and its
/// backports have the other.
const RELEASE: &str = "bookworm";
/// The release whose backports have newer kernels. Nothing else comes from there: of backports apt
/// takes what it is told to, and what is nowhere else.
const NEXT: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const LIMIT: Duration = Duration::from_mins(10);

/// Lists of all packages, fetched anew and removed with the guard.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: TempDir,
}

impl Apt {
    /// Fetches the lists.
    pub(super) fn new() -> Result<Self> {
        needs()?;
        let apt = Self {
            dir: TempDir::new_in(&cache::folder()?, "apt")?,
        };
        let mirror = Mirror::used_here();
        let fetched = apt.update(&mirror);
        let general = Mirror::default();
        if let (Err(error), true) = (&fetched, mirror != general) {
            eprintln!("{error:#}");
            interrupted()?;
            apt.update(&general)?;
            return Ok(apt);
        }
        fetched.map(|()| apt)
    }

    fn update(&self, mirror: &Mirror) -> Result<()> {
        self.write_sources(mirror)?;
        eprintln!("fetching Debian's package lists from {}", mirror.main);
        let mut update = self.command("apt-get");
        // Without it a mirror that does not answer is a warning and old lists.
        update.args(["-o", "APT::Update::Error-Mode=any", "update"]);
        ask(&mut update).with_context(|| {
            format!(
                "cannot fetch Debian's package lists from {}; guests and peers need them once: \
                 check the network, or proxy and mirror in /etc/apt, and try again",
                mirror.main
            )
        })
    }

    /// Downloads a package, and what it depends on and this machine has not installed.
    pub(super) fn download_with_dependencies(&self, package: &str, dir: &Path) -> Result<()> {
        let (name, release) = split(package);
        eprintln!("fetching {name}");
        let mut install = self.command("apt-get");
        install.args(["-y", "--no-install-recommends", "--download-only"]);
        install.args(release.iter().flat_map(|release| ["-t", *release]));
        install.arg("-o");
        install.arg(format!("Dir::Cache::archives={}/", dir.display()));
        install.args(["install", name]);
        std::fs::create_dir_all(dir.join("partial"))?;
        fetch(&mut install, name)?;
        std::fs::remove_dir_all(dir.join("partial"))?;
        // What is installed already is not in the set.
        let prefix = format!("{name}_");
        if !debs(dir)?.iter().any(|deb| named(deb, &prefix)) {
            self.download(package, dir)?;
        }
        Ok(())
    }

    /// Downloads one package alone.
    pub(crate) fn download(&self, package: &str, dir: &Path) -> Result<()> {
        let (name, release) = split(package);
        let mut download = self.command("apt-get");
        download.args(release.iter().flat_map(|release| ["-t", *release]));
        download.args(["download", name]).current_dir(dir);
        fetch(&mut download, name)
    }

    /// The version that a download gives, as file names spell it.
    pub(crate) fn version(&self, package: &str) -> Result<String> {
        let (name, _) = split(package);
        let shown = self.show(package)?;
        let version = field(&shown, "Version").with_context(|| format!("{name} has no version"))?;
        Ok(version.replace(':', "%3a"))
    }

    /// The packages that a package depends on.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let shown = self.show(package)?;
        let depends = field(&shown, "Depends").unwrap_or_default();
        let names = depends
            .split(',')
            .filter_map(|part| part.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }

    /// The packages whose names begin with `prefix`, in no order.
    pub(crate) fn named(&self, prefix: &str) -> Result<Vec<String>> {
        let names = lab::run(self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(names.stdout.lines().map(str::to_owned).collect())
    }

    fn show(&self, package: &str) -> Result<String> {
        let (name, release) = split(package);
        let mut show = self.command("apt-cache");
        show.args(release.iter().flat_map(|release| ["-t", *release]));
        let shown = lab::run(show.args(["show", "--no-all-versions", name]));
        let shown = shown.with_context(|| format!("Debian {RELEASE} has no package {name}"))?;
        Ok(shown.stdout)
    }

    fn write_sources(&self, mirror: &Mirror) -> Result<()> {
        let Mirror { main, security } = mirror;
        let lines = [
            format!("{main} {RELEASE} main"),
            format!("{main} {RELEASE}-backports main"),
            format!("{security} {RELEASE}-security main"),
            format!("{main} {NEXT}-backports main"),
        ];
        let lines = lines.map(|line| format!("deb [signed-by={KEYRING} arch=amd64] {line}\n"));
        std::fs::write(self.dir.path().join("sources.list"), lines.concat())?;
        std::fs::create_dir_all(self.dir.path().join("lists/partial"))?;
        std::fs::create_dir_all(self.dir.path().join("cache/archives/partial"))?;
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let dir = self.dir.path().display();
        let mut command = Command::new(program);
        let options = [
            format!("Dir::Etc::SourceList={dir}/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            "Dir::Etc::Preferences=-".to_owned(),
            "Dir::Etc::PreferencesParts=-".to_owned(),
            format!("Dir::State::Lists={dir}/lists"),
            format!("Dir::Cache={dir}/cache"),
            // Nothing is installed: whoever installs something meanwhile is in nobody's way.
            "Debug::NoLocking=1".to_owned(),
            // Else user _apt would have to reach into the cache.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::http::Timeout=20".to_owned(),
        ];
        command.arg("-q");
        for option in options {
            command.args(["-o", &option]);
        }
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        command
    }
}

fn needs() -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if shell::which(program).is_none() {
            bail!(
                "{program} is not there: guests and peers are unpacked from Debian's packages; \
                 run this on Debian or a relative of it"
            );
        }
    }
    if !Path::new(KEYRING).exists() {
        bail!(
            "{KEYRING} is not there, and without it packages cannot be trusted; run, as root:\n  \
             apt-get install debian-archive-keyring"
        );
    }
    Ok(())
}

fn fetch(command: &mut Command, name: &str) -> Result<()> {
    ask(command).with_context(|| format!("cannot fetch package {name} of Debian {RELEASE}"))
}

/// Runs a command of apt. Its error lines are what a person needs; the command itself is long.
fn ask(command: &mut Command) -> Result<()> {
    let output = lab::output(command, LIMIT)?;
    if output.status.success() {
        return Ok(());
    }
    let faults = output.stderr.lines().filter(|line| line.starts_with("E: "));
    match faults.collect::<Vec<_>>().as_slice() {
        [] => output.success().map(drop),
        faults => bail!("apt says\n{}", faults.join("\n")),
    }
}

/// The package files of a folder.
pub(super) fn debs(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    let files = entries.iter().map(std::fs::DirEntry::path);
    Ok(files
        .filter(|file| file.extension().is_some_and(|end| end == "deb"))
        .collect())
}

fn named(file: &Path, prefix: &str) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(prefix))
}

fn field(shown: &str, name: &str) -> Option<String> {
    let line = shown
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.map(str::to_owned)
}
