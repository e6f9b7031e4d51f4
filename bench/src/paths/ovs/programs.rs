//! Where the programs of Open vSwitch are: installed, or unpacked from Debian's packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use xtask::lab::Netns;

use crate::paths::{Absence, peer};

/// Places of programs below a tree.
const PLACES: [&str; 3] = ["usr/bin", "usr/sbin", "usr/lib/openvswitch-switch"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Trees that stand for `/`.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    trees: Vec<PathBuf>,
}

impl Programs {
    /// Those of the machine, and otherwise those of the cache, which fetches them when it lacks them.
    pub(super) fn find() -> Result<Self, Absence> {
        let installed = Self {
            trees: vec!["/".into()],
        };
        if installed.program("ovs-vswitchd").is_ok() {
            return Ok(installed);
        }
        match xtask::packages::unpacked(&["openvswitch-switch"]) {
            Ok(unpacked) => Ok(Self {
                trees: unpacked.trees().to_vec(),
            }),
            Err(error) => Err(peer::absent(format!(
                "needs Open vSwitch: apt-get install openvswitch-switch ({error:#})"
            ))),
        }
    }

    /// A file by its path below `/`.
    pub(super) fn file(&self, path: &str) -> Result<PathBuf> {
        let mut files = self.trees.iter().map(|tree| tree.join(path));
        let found = files.find(|file| file.exists());
        found.with_context(|| {
            format!(
                "the packages of Open vSwitch have no {path}; apt-get install openvswitch-switch"
            )
        })
    }

    /// A command in a namespace, with `dir` in the place of all of Open vSwitch's own folders.
    pub(super) fn command(&self, netns: &Netns, dir: &Path, program: &str) -> Result<Command> {
        let program = self.program(program)?;
        let mut command = netns.command(&program.display().to_string());
        let libraries = self.trees.iter().map(|tree| tree.join(LIBRARIES));
        command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
        // Ports with AF_XDP sockets load a program from there.
        command.env("LIBXDP_OBJECT_PATH", self.file(LIBRARIES)?.join("bpf"));
        for folder in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"] {
            command.env(folder, dir);
        }
        Ok(command)
    }

    fn program(&self, program: &str) -> Result<PathBuf> {
        let places = PLACES.map(|place| self.file(&format!("{place}/{program}")));
        let [one, two, three] = places;
        one.or(two).or(three)
    }
}
