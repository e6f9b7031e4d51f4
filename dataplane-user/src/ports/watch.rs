//! Named namespaces that come and go, of which netlink tells nothing.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use super::netns::FOLDER;

/// How long mounts may gather before they are looked at together.
const GATHER: Duration = Duration::from_millis(10);

/// Calls `tell` whenever a named namespace comes or goes, from a thread that lives as long as
/// the process.
///
/// A namespace is there when it is mounted, and only the mount table tells of that: in the
/// folder, the file is there before.
pub fn namespaces(tell: impl Fn() + Send + 'static) -> io::Result<()> {
    let mounts = File::open("/proc/self/mountinfo")?;
    let watch = move || {
        if let Err(error) = follow(&mounts, tell) {
            tracing::warn!("mounts tell no changes: {error}; namespaces are seen late");
        }
    };
    std::thread::Builder::new()
        .name("mounts".to_owned())
        .spawn(watch)?;
    Ok(())
}

fn follow(mounts: &File, tell: impl Fn()) -> io::Result<()> {
    let mut before = BTreeSet::new();
    loop {
        let now = named();
        if now != before {
            before = now;
            tell();
        }
        // A change of the table is an exceptional condition (proc_pid_mounts(5)).
        match poll(&mut [PollFd::new(mounts, PollFlags::PRI)], None) {
            Ok(_) => std::thread::sleep(GATHER),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Names and identities of the named namespaces.
fn named() -> BTreeSet<(OsString, u64, u64)> {
    // Without the folder there are none.
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let identified = entries.filter_map(|entry| {
        let meta = fs::metadata(entry.path()).ok()?;
        Some((entry.file_name(), meta.dev(), meta.ino()))
    });
    identified.collect()
}
