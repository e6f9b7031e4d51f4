//! A table that grows: the current writer, and the one that follows it when that has no room.
//!
//! The next one is filled aside, which readers do not notice, and made the current one at once. It
//! has a new seed each time, so a table that would not take a key for the sake of its seed is made
//! anew, of the same size. What programs stamped while it was filled is taken along once it is the
//! current one. A table that has been far too large for long becomes a smaller one.

use std::collections::VecDeque;

use dataplane_common::{abi::lookup::LookupRecord, records::geometry::Geometry};

use super::{
    adopt::Swept,
    copy::{AHEAD, copy, empty, restamp},
    home::Home,
    patience::Patience,
    refused::{Refused, told},
    size::{self, LEAST, comfortable, size_for, tight},
    writer::{Full, Misfit, Writer},
};

/// Seeds that are tried before a table is not made. Keys fail by chance, or because somebody knew
/// the seed; neither happens to the next one.
const SEEDS: u32 = 4;

/// A table of records.
pub struct Table<H: Home> {
    home: H,
    writer: Writer<H::Memory>,
    capacity: u64,
    /// More than so many records want a larger table.
    enough: u64,
    /// With so many records it takes no new key until it is larger.
    most: u64,
    /// How often the table became another one.
    renewed: u64,
    patience: Patience,
    /// What adoption found that is not to stay.
    found: Swept,
}

impl<H: Home> Table<H> {
    /// An empty table, for `capacity` records at most.
    pub fn new(mut home: H, capacity: u64) -> Result<Self, Refused> {
        let writer = empty(&mut home, LEAST)?;
        home.publish(writer.memory())?;
        Ok(Self::of(home, writer, capacity))
    }

    /// The table that readers have already; nothing is changed before [`Self::sweep`].
    pub fn adopt(
        home: H,
        (memory, geometry): (H::Memory, Geometry),
        capacity: u64,
    ) -> Result<Self, Misfit> {
        let (writer, found) = Writer::examine(memory, geometry)?;
        let mut table = Self::of(home, writer, capacity);
        table.found = found;
        Ok(table)
    }

    fn of(home: H, writer: Writer<H::Memory>, capacity: u64) -> Self {
        let mut table = Self {
            home,
            writer,
            capacity,
            enough: 0,
            most: 0,
            renewed: 0,
            patience: Patience::default(),
            found: Swept::default(),
        };
        table.reckon();
        table
    }

    /// Removes what adoption found that no reader needs; before the first change.
    pub fn sweep(&mut self) -> Swept {
        let found = std::mem::take(&mut self.found);
        if found != Swept::default() {
            self.writer.sweep();
        }
        found
    }

    /// Number of records.
    pub const fn len(&self) -> u64 {
        self.writer.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// Records that it may have.
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How often it grew, shrank or changed its seed.
    pub const fn renewed(&self) -> u64 {
        self.renewed
    }

    /// The current table.
    pub const fn writer(&self) -> &Writer<H::Memory> {
        &self.writer
    }

    /// Makes the changes that concern one record, and no other.
    pub const fn writer_mut(&mut self) -> &mut Writer<H::Memory> {
        &mut self.writer
    }

    /// Writes a record, in a larger table if it must be.
    pub fn insert(&mut self, key: u64, record: LookupRecord) -> Result<(), Refused> {
        let len = self.len();
        if len >= self.most && self.writer.get(key).is_none() {
            self.widen()?;
        } else if len > self.enough {
            self.outgrow();
        }
        let done = self.writer.insert(key, record);
        done.or_else(|full| self.make_room(full, (key, record)))
    }

    /// Makes a table of the size for so many records more, in one step, and never in small ones.
    pub fn reserve(&mut self, more: u64) -> Result<(), Refused> {
        let wanted = self.len().saturating_add(more).min(self.capacity);
        if wanted <= self.enough {
            return Ok(());
        }
        self.grow(size_for(wanted).max(self.larger()))
    }

    /// Writes many records, for which there is room already if [`Self::reserve`] made it; calls back
    /// with each that is refused.
    pub fn write(
        &mut self,
        records: &[(u64, LookupRecord)],
        mut refused: impl FnMut(&mut Self, u64, Refused),
    ) {
        for (key, _) in records.iter().take(AHEAD) {
            self.writer.foresee(*key);
        }
        for (place, (key, record)) in records.iter().enumerate() {
            if let Some((ahead, _)) = records.get(place + AHEAD) {
                self.writer.foresee(*ahead);
            }
            if let Err(why) = self.insert(*key, *record) {
                refused(self, *key, why);
            }
        }
    }

    /// Removes many keys, if they are there.
    pub fn erase(&mut self, keys: &[u64]) {
        for (place, key) in keys.iter().enumerate() {
            if let Some(ahead) = keys.get(place + AHEAD) {
                self.writer.foresee(*ahead);
            }
            self.writer.remove(*key);
        }
    }

    /// Writes many records after having made room for those that are not there; the first that is
    /// refused ends it.
    pub fn extend(
        &mut self,
        mut records: impl Iterator<Item = (u64, LookupRecord)> + Clone,
    ) -> Result<(), Refused> {
        let missing = records.clone();
        let missing = missing.filter(|(key, _)| self.writer.get(*key).is_none());
        let missing = missing.count() as u64;
        self.reserve(missing)?;
        let mut soon = VecDeque::with_capacity(AHEAD);
        loop {
            for (key, record) in records.by_ref().take(AHEAD - soon.len()) {
                self.writer.foresee(key);
                soon.push_back((key, record));
            }
            let Some((key, record)) = soon.pop_front() else {
                return Ok(());
            };
            self.insert(key, record)?;
        }
    }

    /// Whether readers are in this table, and not in one that somebody else published.
    pub fn check(&self) -> Result<(), Refused> {
        let ours = self.home.has(self.writer.memory())?;
        ours.then_some(()).ok_or(Refused::Foreign)
    }

    /// Gives memory back that has been too much for long; to be called now and then. Half of the
    /// slots are free after that, so that it does not grow again for a few records.
    pub fn tend(&mut self) -> Result<(), Refused> {
        self.check()?;
        let (size, fitting) = (self.size(), size_for(self.len().saturating_mul(2)));
        let sparse = self.len() < comfortable(size) / 4 && fitting < size;
        if !self.patience.was_sparse(sparse, self.home.now()) {
            return Ok(());
        }
        self.grow(fitting)
    }

    /// Makes the table anew with another seed, for who tests it.
    pub fn reseed(&mut self) -> Result<(), Refused> {
        self.renew(self.size())
    }

    fn size(&self) -> u64 {
        u64::from(self.writer.geometry().buckets())
    }

    /// The size after this one, as far as it goes.
    fn larger(&self) -> u64 {
        let larger = size::larger(self.size());
        larger.min(size_for(self.capacity).max(self.size()))
    }

    /// Sees how many records are enough for this size; for the largest, any number.
    fn reckon(&mut self) {
        let size = self.size();
        let largest = self.larger() == size;
        self.enough = if largest { u64::MAX } else { comfortable(size) };
        self.most = self.capacity.min(tight(size));
    }

    /// Makes room for a new key, as the table has as many as it takes.
    fn widen(&mut self) -> Result<(), Refused> {
        if self.len() >= self.capacity {
            return Err(Refused::Full(self.capacity));
        }
        self.grow(self.larger())
    }

    /// Grows because it is time. There is room yet, so that what fails is tried again later.
    fn outgrow(&mut self) {
        if self.grow(self.larger()).is_err() {
            self.enough = u64::midpoint(self.len(), self.most);
        }
    }

    /// Writes a record whose two buckets are full, with others that cannot move.
    fn make_room(
        &mut self,
        mut full: Full,
        (key, record): (u64, LookupRecord),
    ) -> Result<(), Refused> {
        loop {
            let mut size = self.larger();
            // Half full and no room: another seed is what it takes.
            if full.len <= full.slots / 2 || size == self.size() {
                size = self.size();
                if !self.patience.reseeds(self.home.now()) {
                    return Err(full.into());
                }
            }
            self.grow(size)?;
            match self.writer.insert(key, record) {
                Ok(()) => return Ok(()),
                Err(again) => full = again,
            }
        }
    }

    /// Makes another table the current one, unless that failed a moment ago.
    fn grow(&mut self, buckets: u64) -> Result<(), Refused> {
        let (now, records) = (self.home.now(), self.len());
        if let Some(reason) = self.patience.starved(now) {
            let reason = reason.to_owned();
            return Err(Refused::Starved { records, reason });
        }
        let reason = match self.renew(buckets) {
            Err(Refused::Kernel(error)) => told(&error),
            Err(Refused::Crowded(full)) => full.to_string(),
            done => return done,
        };
        tracing::warn!("map LOOKUP cannot become a table of {buckets} buckets: {reason}");
        self.patience.starve(now, reason.clone());
        Err(Refused::Starved { records, reason })
    }

    /// Makes a table of so many buckets with the same content the current one.
    fn renew(&mut self, buckets: u64) -> Result<(), Refused> {
        self.check()?;
        let mut tried = 0;
        let (next, stamped) = loop {
            tried += 1;
            let mut next = empty(&mut self.home, buckets)?;
            match copy(&self.writer, &mut next) {
                Ok(stamped) => break (next, stamped),
                Err(full) if tried == SEEDS => return Err(full.into()),
                Err(_) => {}
            }
        };
        // Copying takes its time.
        self.check()?;
        self.home.publish(next.memory())?;
        let former = std::mem::replace(&mut self.writer, next);
        if stamped {
            restamp(&former, &mut self.writer);
        }
        self.renewed += 1;
        self.patience.renewed();
        self.reckon();
        Ok(())
    }
}
