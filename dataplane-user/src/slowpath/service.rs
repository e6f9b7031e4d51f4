//! The whole slow path of a host, as the agent has it.

use std::{collections::BTreeMap, path::Path, sync::Arc, thread, time::Instant};

use aya::maps::MapError;
use dataplane_common::abi::lookup::LookupKey;

use super::{
    Limits,
    advertise::Advertiser,
    counts::Counts,
    directory::{Directory, Shared, Tenant},
    resolver::{self, Table},
    seats::Seats,
    worker::Office,
};
use crate::{
    dataplane::{Error, lookups::Lookups},
    policy::{
        in_use::{Change, InUse},
        table_image::TableImage,
    },
    underlay::path_mtu,
};

/// Entries that one look at what is idle is about: it holds the resolver up, and packets wait for
/// that. A few hundred microseconds.
const AGED_AT_ONCE: usize = 256;
/// Such looks in a row at most; what is left is for the next time.
const LOOKS: usize = 64;

/// Threads, records in use, and counts.
pub struct SlowPath {
    limits: Limits,
    shared: Arc<Shared>,
    table: Box<dyn Table>,
    advertiser: Advertiser,
    counts: Arc<Counts>,
    /// The workers.
    pub seats: Seats,
    /// There is a policy.
    ready: bool,
}

impl SlowPath {
    /// On the maps of a loaded dataplane, which are pinned below `pin`. Nobody is served until there
    /// is a policy ([`SlowPath::follow`]) and a socket ([`Seats::seat`]).
    pub fn new(
        limits: Limits,
        (pin, lookups): (&Path, &Lookups),
        paths: path_mtu::Teller,
    ) -> Result<Self, Error> {
        let room = usize::try_from(lookups.v4().capacity()).unwrap_or(usize::MAX);
        let failed = |source| Error::SlowPath { source };
        let shared = Arc::new(Shared::new(InUse::new(limits.lives, room)));
        let questions =
            resolver::start(shared.clone(), Box::new(lookups.clone())).map_err(failed)?;
        let counts = Arc::new(Counts::default());
        let office = Office {
            shared: shared.clone(),
            counts: counts.clone(),
            questions,
            paths,
        };
        Ok(Self {
            limits,
            seats: Seats::new(limits, pin, office).map_err(failed)?,
            counts,
            shared,
            table: Box::new(lookups.clone()),
            advertiser: Advertiser::default(),
            ready: false,
        })
    }

    /// What it may take.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it did.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Records in use, and negative answers.
    pub fn in_use(&self) -> (usize, usize) {
        self.shared.in_use().counts()
    }

    /// Records in use and negative answers, by routing domain.
    pub fn in_use_by_domain(&self) -> BTreeMap<u32, (usize, usize)> {
        self.shared.in_use().by_domain()
    }

    /// The policy that it decides by.
    pub fn directory(&self) -> Arc<Directory> {
        self.shared.directory()
    }

    /// Takes what an earlier nved left on demand in the kernel's table out of the image of it.
    pub fn adopt(&self, image: &mut TableImage) {
        self.shared.in_use().adopt(image, Instant::now());
    }

    /// Before the kernel's tables become `target`: makes room for the records that they always have
    /// then, and takes those whose VM network has become `onDemand` over from `image`.
    pub fn prepare(&mut self, image: &mut TableImage, target: &TableImage) -> Result<(), Error> {
        let shared = self.shared.clone();
        let mut in_use = shared.in_use();
        let gone = in_use.reserve(target);
        in_use.take_over(image, target, Instant::now());
        self.remove(&gone)
    }

    /// Decides by another policy from now on, and brings what is in use in the kernel's table up to
    /// it; how many records it changed, or the first error.
    pub fn follow(&mut self, directory: Directory) -> Result<usize, Error> {
        let before = self.shared.directory();
        // A number that is another VM network's from now on starts at zero.
        let (old, new) = (&before.tenants, &directory.tenants);
        let same = |old: &Tenant, id| new.get(&id).is_some_and(|new| new.name == old.name);
        let counts = &self.counts;
        counts.keep(|id| old.get(&id).is_some_and(|old| same(old, id)));
        let mut in_use = self.shared.in_use();
        let changes = self.shared.replace(Arc::new(directory), &mut in_use);
        let mut failed = None;
        for change in &changes {
            let (key, done) = match *change {
                Change::Put(key, record) => {
                    let done = self.table.put(key, record).or_else(|error| {
                        in_use.give_up(key);
                        // None is better than one of the former policy.
                        self.table.remove(&key).and(Err(error))
                    });
                    (key, done)
                }
                Change::Delete(key) => (key, self.table.remove(&key)),
            };
            failed = failed.or(done.map_err(refused(&key)).err());
        }
        self.ready = true;
        failed.map_or(Ok(changes.len()), Err)
    }

    /// What it shares with its threads.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Takes note of the tables that the programs have: whoever waits for an address goes on.
    pub fn settle(&self, image: &TableImage) {
        if self.shared.learning.settle(image) {
            self.seats.wake();
        }
    }

    /// Tells the ports of subnets with `routerAdvertisement` of their gateway, as often as is due.
    pub fn advertise(&mut self) {
        let directory = self.shared.directory();
        for told in self.advertiser.due(&directory, Instant::now()) {
            // Without room on the lane, who looks for a router is answered.
            let _ = self.seats.lane().put(told);
        }
    }

    /// Whether there is a policy to decide by.
    pub const fn is_ready(&self) -> bool {
        self.ready
    }

    /// Removes from the kernel's table what nobody used for long enough.
    pub fn age(&mut self) -> Result<(), Error> {
        for _ in 0..LOOKS {
            if self.age_some()? == 0 {
                break;
            }
            // The resolver may be waiting for the lock.
            thread::yield_now();
        }
        Ok(())
    }

    /// How many it looked at.
    fn age_some(&mut self) -> Result<usize, Error> {
        let shared = self.shared.clone();
        let mut in_use = shared.in_use();
        let (now, table) = (Instant::now(), &self.table);
        let (gone, looks) = in_use.expire(now, AGED_AT_ONCE, |key| table.idle(key));
        self.remove(&gone).map(|()| looks)
    }

    /// Removes all of these; the first error.
    fn remove(&mut self, keys: &[LookupKey]) -> Result<(), Error> {
        let remove = |key| self.table.remove(key).map_err(refused(key));
        keys.iter().map(remove).fold(Ok(()), Result::and)
    }
}

/// Turns an error about a key into one that names its map.
fn refused(key: &LookupKey) -> impl FnOnce(MapError) -> Error {
    let map = Lookups::name(key);
    move |source| Error::Map { map, source }
}
