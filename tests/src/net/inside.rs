//! Code of this process inside a network namespace.

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{fs::File, os::fd::AsFd, thread};
use xtask::lab::Netns;

/// Runs `work` on a thread of its own inside the namespace. Sockets that it makes stay there.
///
/// Processes must not be started by `work`: they would die with its thread.
pub fn inside<T: Send>(netns: &Netns, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let enter = || {
        let file = File::open(netns.path())?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        work()
    };
    let done = thread::scope(|scope| scope.spawn(enter).join());
    done.map_err(|_| anyhow!("a thread in {} panicked", netns.name()))?
        .with_context(|| format!("in {}", netns.name()))
}
