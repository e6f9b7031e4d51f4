//! Where a database keeps its bytes: the file, until it is let go.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use redb::{
    BackendError, StorageBackend,
    backends::{FileBackend, InMemoryBackend},
};

/// Once told, no more is written. A database that closes writes to its file, which by
/// then may be somebody else's.
#[derive(Clone, Debug, Default)]
pub(super) struct LetGo(Arc<AtomicBool>);

impl LetGo {
    pub(super) fn tell(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The database's own writes. It makes some of them when it reads: what the last transaction left in its
/// cache gives way to what is read.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnWrites(Arc<[AtomicU64; 2]>);

impl OwnWrites {
    /// How many there were; `None` while there is one.
    pub(super) fn count(&self) -> Option<u64> {
        let [begun, ended] = &*self.0;
        // In this order: one that begins in between is not taken for one that has ended.
        let ended = ended.load(Ordering::SeqCst);
        (begun.load(Ordering::SeqCst) == ended).then_some(ended)
    }

    fn during<T>(&self, write: impl FnOnce() -> T) -> T {
        let [begun, ended] = &*self.0;
        begun.fetch_add(1, Ordering::SeqCst);
        let done = write();
        ended.fetch_add(1, Ordering::SeqCst);
        done
    }
}

/// A file that can be let go, and whose writes are counted.
#[derive(Debug)]
pub(super) struct Guarded {
    file: FileBackend,
    gone: LetGo,
    writes: OwnWrites,
}

impl Guarded {
    pub(super) fn new(file: FileBackend, gone: LetGo, writes: OwnWrites) -> Self {
        Self { file, gone, writes }
    }

    fn ours(&self) -> io::Result<()> {
        if self.gone.0.load(Ordering::Relaxed) {
            return Err(io::Error::other("the file was let go"));
        }
        Ok(())
    }
}

impl StorageBackend for Guarded {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.ours()?;
        self.writes.during(|| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.ours()?;
        self.writes.during(|| self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// A copy of a file that cannot be written. A database that was not closed repairs
/// itself when it is opened, which the copy takes and the file would not.
pub(super) fn copy(mut file: File) -> io::Result<InMemoryBackend> {
    let copy = InMemoryBackend::new();
    let (mut chunk, mut offset) = (vec![0; 1 << 20], 0);
    loop {
        let count = match file.read(&mut chunk) {
            Ok(0) => return Ok(copy),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = offset + count as u64;
        copy.set_len(end)?;
        copy.write(offset, &chunk[..count])?;
        offset = end;
    }
}
