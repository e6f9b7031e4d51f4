//! Raw connections to a control socket, and what comes back.

use super::{SOON, Site};
use anyhow::{Context, Result, anyhow};
use rustix::{
    process::{Gid, Uid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    thread,
};
use xtask::lab::{Output, PATIENCE, bin_dir, output};

/// The user and group "nobody".
pub const NOBODY: u32 = 65534;

/// Runs `work` on a thread of its own with the rights of [`NOBODY`]. Connections that
/// it makes are that user's as long as they last.
pub fn as_nobody<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let change = || {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        work()
    };
    let done = thread::scope(|scope| scope.spawn(change).join());
    done.map_err(|_| anyhow!("a thread of uid {NOBODY} panicked"))?
}

/// Runs `nvectl` as [`NOBODY`] against the `nved` of a host.
pub fn nvectl_as_nobody(site: &Site, host: usize, args: &[&str]) -> Result<Output> {
    // The build's folder may be closed to others.
    let nvectl = site.program("nvectl", fs::read(bin_dir()?.join("nvectl"))?)?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let socket = site.nves[host].spec().socket();
    command.arg(nvectl).arg("--socket").arg(socket).args(args);
    output(&mut command, PATIENCE)
}

/// So many connections that say nothing.
pub fn crowd(socket: &Path, count: usize) -> Result<Vec<UnixStream>> {
    let connect = |_| {
        UnixStream::connect(socket).with_context(|| format!("cannot reach {}", socket.display()))
    };
    (0..count).map(connect).collect()
}

/// Sends bytes and the end of them; all that comes back until the other side closes.
pub fn answer_to(socket: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(SOON))?;
    // Whoever refuses need not read to the end first.
    let sent = (&stream).write_all(bytes);
    if let Err(error) = sent
        && !closed(error.kind())
    {
        return Err(error).context("the bytes were not taken");
    }
    stream.shutdown(Shutdown::Write).ok();
    until_closed(&stream)
}

/// All that comes until the other side closes.
pub fn until_closed(mut stream: &UnixStream) -> Result<Vec<u8>> {
    stream.set_read_timeout(Some(SOON))?;
    let mut came = Vec::new();
    match stream.read_to_end(&mut came) {
        Err(error) if !closed(error.kind()) => {
            Err(error).context("it was neither answered nor closed")
        }
        _ => Ok(came),
    }
}

fn closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
