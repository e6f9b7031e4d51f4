//! Code of this process inside a network namespace.

use super::Netns;
use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{fs::File, os::fd::AsFd, thread};

/// Runs `work` on a thread of its own inside the namespace. Sockets that it makes stay there.
///
/// Processes must not be started by `work`: they would die with its thread.
pub fn inside<T: Send>(netns: &Netns, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let enter = || {
        enter(netns)?;
        work()
    };
    let done = thread::scope(|scope| scope.spawn(enter).join());
    done.map_err(|_| anyhow!("a thread in {} panicked", netns.name()))?
        .with_context(|| format!("in {}", netns.name()))
}

/// Moves the calling thread into the namespace for good.
pub fn enter(netns: &Netns) -> Result<()> {
    let file = File::open(netns.path())
        .with_context(|| format!("cannot open network namespace {}", netns.name()))?;
    enter_file(&file).with_context(|| format!("network namespace {}", netns.name()))
}

/// The same with the file that stands for the namespace.
pub fn enter_file(file: &File) -> Result<()> {
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .context("cannot enter the namespace")
}
