//! The network namespace where a veth has its other end.

use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt, path::PathBuf};

use rtnetlink::Handle;

use super::netns::{FOLDER, NetNs};

/// The namespace with this number of ours, `None` being our own. Looked for under the given
/// name, among the named ones, and among those of processes; `None` when it is not found.
pub async fn find(handle: &Handle, id: Option<i32>, hint: Option<&str>) -> Option<NetNs> {
    if id.is_none() {
        return NetNs::own().ok()?;
    }
    let hinted = hint.and_then(|name| NetNs::open(name).ok()?);
    if let Some(netns) = hinted
        && netns.id(handle).await.ok()? == id
    {
        return Some(netns);
    }
    let mut looked_at = BTreeSet::new();
    for path in named().chain(of_processes()) {
        // Most processes share theirs.
        let Ok(meta) = fs::metadata(&path) else {
            continue;
        };
        if !looked_at.insert((meta.dev(), meta.ino())) {
            continue;
        }
        let Ok(Some(netns)) = NetNs::at(&path) else {
            continue;
        };
        if netns.id(handle).await.ok()? == id {
            return Some(netns);
        }
    }
    None
}

fn named() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn of_processes() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let process = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    };
    entries
        .filter(process)
        .map(|entry| entry.path().join("ns/net"))
}
