//! The unix socket: made, guarded, and who is at its other end.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
use tokio::net::{UnixListener, UnixStream};

/// Why nved cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there.
    #[error("socket {path} is in use by another process; stop the other nved, or give this one its own --socket", path = .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{path} exists and is no socket; remove it, or name another --socket", path = .0.display())]
    NoSocket(PathBuf),
    /// Somebody keeps the folder locked.
    #[error("folder {path} of the socket stays locked (flock) by another process; end it, or name another --socket", path = .0.display())]
    Locked(PathBuf),
    /// It cannot be made.
    #[error("socket {path}: {source}; check its folder and permissions", path = path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How long the folder may be locked by another nved that starts or stops.
const PATIENCE: Duration = Duration::from_secs(2);

/// A socket that listens. Dropping it removes its file, and no other that has its
/// name by now: as long as it listens, nobody else's has its inode.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    made: (u64, u64),
    listener: UnixListener,
}

/// Listens on a socket of mode 0660. One that nobody listens on is replaced.
pub fn listen(path: &Path) -> Result<ControlSocket, SocketError> {
    let failed = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    let folder = folder(path).map_err(failed)?;
    // Two that start at once would each take the other's socket for a stale one.
    let _lock = lock(&folder)?;
    clear(path)?;
    // The mode before the name: nobody can connect in between with wider rights.
    let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o117));
    let bound = UnixListener::bind(path);
    rustix::process::umask(old);
    let listener = bound.map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
    let made = identity(&fs::symlink_metadata(path).map_err(failed)?);
    let path = path.to_owned();
    Ok(ControlSocket {
        path,
        made,
        listener,
    })
}

impl ControlSocket {
    /// The next connection.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        let accepted = self.listener.accept().await;
        accepted.map(|(stream, _)| stream)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        // Without the lock it stays: a stale file does less harm than a lost socket.
        let Ok(_lock) = lock(folder) else { return };
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|meta| identity(&meta) == self.made) {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// The socket's folder; a new one may be entered by all, for the socket has its own mode.
fn folder(path: &Path) -> io::Result<PathBuf> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    Ok(folder.to_owned())
}

/// Keeps other nveds from making or removing sockets in a folder.
fn lock(folder: &Path) -> Result<File, SocketError> {
    let failed = |source| SocketError::Io {
        path: folder.to_owned(),
        source,
    };
    let file = File::open(folder).map_err(failed)?;
    let started = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(Errno::WOULDBLOCK) => return Err(SocketError::Locked(folder.to_owned())),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match knock(path) {
        // Nobody holds the other end any more.
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(failed),
        // A full queue of connections is somebody's too.
        Ok(()) | Err(Errno::AGAIN) => Err(SocketError::InUse(path.to_owned())),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// Connects without waiting.
fn knock(path: &Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

/// Which file it is.
fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The process at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its user; `None` when the kernel does not tell.
    pub uid: Option<u32>,
}

impl Peer {
    /// Who connected.
    pub fn of(stream: &UnixStream) -> Self {
        let credentials = stream.peer_cred();
        Self {
            uid: credentials.ok().map(|credentials| credentials.uid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_dead_socket_is_replaced() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("sub/s.sock");
        let live = listen(&path).expect("listen");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(&folder.path().join("sub")), 0o755);
        assert!(matches!(listen(&path), Err(SocketError::InUse(_))));
        drop(live);
        assert!(!path.exists(), "the own socket was not removed");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let first = listen(&path).expect("a stale socket is replaced");
        fs::remove_file(&path).expect("somebody removes it");
        let second = listen(&path).expect("its place is free");
        drop(first);
        assert!(path.exists(), "the successor's socket was removed");
        drop(second);
        let file = folder.path().join("file");
        fs::write(&file, "").expect("file");
        assert!(matches!(listen(&file), Err(SocketError::NoSocket(_))));
    }

    #[tokio::test]
    async fn of_many_that_start_at_once_one_has_the_socket() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("s.sock");
        let stale = std::os::unix::net::UnixListener::bind(&path);
        drop(stale.expect("a socket"));
        let starts = (0..8).map(|_| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || listen(&path))
        });
        let starts: Vec<_> = starts.collect();
        let mut won = Vec::new();
        for start in starts {
            match start.await.expect("no panic") {
                Ok(socket) => won.push(socket),
                Err(error) => assert!(matches!(error, SocketError::InUse(_)), "{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        UnixStream::connect(&path)
            .await
            .expect("it is the one that listens");
    }

    #[test]
    fn a_folder_that_stays_locked_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let _held = lock(folder.path()).expect("lock");
        let refused = lock(folder.path()).expect_err("locked twice");
        assert!(matches!(refused, SocketError::Locked(_)), "{refused}");
    }
}
