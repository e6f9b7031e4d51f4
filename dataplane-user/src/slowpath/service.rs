//! The whole slow path of a host, as the agent has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Instant,
};

use aya::maps::MapError;
use crossbeam_channel::Receiver;
use dataplane_common::abi::upcall::{PAIR, QUEUES, UPLINKS_LEN};

use super::{
    Limits,
    counts::Counts,
    directory::{Directory, Shared, Tenant},
    lane::{Lane, Returned},
    resolver::{self, Table},
    station::{Health, Seat, Station, bell},
    worker::{Office, Queue},
};
use crate::{
    dataplane::{
        Error,
        layout::{LOOKUP, Layout},
        load::MAPS_FOLDER,
        maps::Maps,
    },
    policy::{
        in_use::{Change, InUse},
        table_image::TableImage,
    },
};

/// Entries that one look at what is idle is about: it holds the resolver up, and packets wait for
/// that. A few hundred microseconds.
const AGED_AT_ONCE: usize = 256;
/// Such looks in a row at most; what is left is for the next time.
const LOOKS: usize = 64;

/// Threads, records in use, and counts.
pub struct SlowPath {
    limits: Limits,
    pin: PathBuf,
    shared: Arc<Shared>,
    table: Box<dyn Table>,
    office: Office,
    stations: BTreeMap<Seat, Station>,
    /// The way to the upcall pair's worker, for the others; its end, for whichever worker has it.
    lane: (Lane, Receiver<Returned>),
    pair_bell: Arc<OwnedFd>,
    /// How an upcall pair was that is gone.
    former_pair: Option<Health>,
    /// Places in `XSKS` of an uplink's first queue, by ifindex.
    places: BTreeMap<u32, u32>,
}

/// A device whose queues get workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// Its index.
    pub ifindex: u32,
    /// Its receive queues.
    pub queues: u32,
}

impl SlowPath {
    /// On the pinned maps of a loaded dataplane. Nobody is served until there is a policy
    /// ([`SlowPath::follow`]) and a socket ([`SlowPath::seat`]).
    pub fn new(limits: Limits, pin: &Path) -> Result<Self, Error> {
        let map = pin.join(MAPS_FOLDER).join(LOOKUP);
        let room = Layout::room(&map).unwrap_or(0);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let open = || {
            Maps::lookup_at(&map).map_err(|source| Error::Map {
                map: LOOKUP,
                source,
            })
        };
        let failed = |source| Error::SlowPath { source };
        let shared = Arc::new(Shared::new(InUse::new(limits.lives, room)));
        let questions = resolver::start(shared.clone(), Box::new(open()?)).map_err(failed)?;
        let pair_bell = bell().map_err(failed)?;
        Ok(Self {
            limits,
            pin: pin.to_owned(),
            office: Office {
                shared: shared.clone(),
                counts: Arc::new(Counts::default()),
                questions,
            },
            shared,
            table: Box::new(open()?),
            stations: BTreeMap::new(),
            lane: Lane::new(pair_bell.clone()),
            pair_bell,
            former_pair: None,
            places: BTreeMap::new(),
        })
    }

    /// What it may take.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What it did.
    pub fn counts(&self) -> &Counts {
        &self.office.counts
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

    /// Takes records whose VM network has become `onDemand` in `target` over from the image.
    pub fn take_over(&self, image: &mut TableImage, target: &TableImage) {
        let mut in_use = self.shared.in_use();
        in_use.take_over(image, target, Instant::now());
    }

    /// Decides by another policy from now on, and brings what is in use in the kernel's table up to
    /// it; how many records it changed, or the first error.
    pub fn follow(&mut self, directory: Directory) -> Result<usize, MapError> {
        let before = self.shared.directory();
        // A number that is another VM network's from now on starts at zero.
        let (old, new) = (&before.tenants, &directory.tenants);
        let same = |old: &Tenant, id| new.get(&id).is_some_and(|new| new.name == old.name);
        let counts = &self.office.counts;
        counts.keep(|id| old.get(&id).is_some_and(|old| same(old, id)));
        let mut in_use = self.shared.in_use();
        let changes = self.shared.replace(Arc::new(directory), &mut in_use);
        let mut failed = None;
        for change in &changes {
            let done = match *change {
                Change::Put(key, record) => self.table.put(key, record).inspect_err(|_| {
                    in_use.give_up(key);
                }),
                Change::Delete(key) => self.table.remove(&key),
            };
            failed = failed.or(done.err());
        }
        failed.map_or(Ok(changes.len()), Err)
    }

    /// Removes from the kernel's table what nobody used for long enough.
    pub fn age(&mut self) -> Result<(), MapError> {
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
    fn age_some(&mut self) -> Result<usize, MapError> {
        let mut in_use = self.shared.in_use();
        let (now, table, mut looks) = (Instant::now(), &self.table, 0);
        let gone = in_use.expire(now, AGED_AT_ONCE, |key| {
            looks += 1;
            table.idle(key)
        });
        for key in &gone {
            self.table.remove(key)?;
        }
        Ok(looks.max(gone.len()))
    }

    /// Sees that each queue has a worker: the upcall pair's far end, and the uplinks' that have XDP.
    /// Where each uplink's places in `XSKS` begin, by ifindex.
    pub fn seat(
        &mut self,
        pair: Option<u32>,
        uplinks: &[Uplink],
    ) -> io::Result<&BTreeMap<u32, u32>> {
        self.give_places(uplinks);
        let pair = pair.map(|ifindex| Seat {
            ifindex,
            queue: 0,
            place: PAIR,
        });
        let of_uplink = |uplink: &Uplink| {
            let first = self.places.get(&uplink.ifindex).copied();
            let queues = 0..uplink.queues.min(QUEUES);
            let ifindex = uplink.ifindex;
            let seat = move |queue| {
                first.map(|first| Seat {
                    ifindex,
                    queue,
                    place: first + queue,
                })
            };
            queues.filter_map(seat).collect::<Vec<_>>()
        };
        let seats = uplinks.iter().flat_map(of_uplink).chain(pair);
        let seats: BTreeSet<Seat> = seats.collect();
        let gone: Vec<Seat> = self.stations.keys().copied().collect();
        for seat in gone.into_iter().filter(|seat| !seats.contains(seat)) {
            self.leave(seat);
        }
        for seat in seats {
            if !self.stations.contains_key(&seat) {
                let station = self.station(seat)?;
                self.stations.insert(seat, station);
            }
        }
        Ok(&self.places)
    }

    /// Ends a station. What the upcall pair's told goes on with that of the next pair.
    fn leave(&mut self, seat: Seat) {
        let Some(station) = self.stations.remove(&seat) else {
            return;
        };
        let told = station.end();
        if seat.place == PAIR {
            self.former_pair = Some(told);
        }
    }

    fn station(&self, seat: Seat) -> io::Result<Station> {
        let (queue, bell) = if seat.place == PAIR {
            (Queue::Pair(self.lane.1.clone()), self.pair_bell.clone())
        } else {
            let lane = self.lane.0.clone();
            (Queue::Uplink(seat.ifindex, lane), bell()?)
        };
        let former = self.former_pair.as_ref().filter(|_| seat.place == PAIR);
        let room = (self.limits, &*self.pin, bell, former);
        Station::start(seat, queue, self.office.clone(), room)
    }

    fn give_places(&mut self, uplinks: &[Uplink]) {
        self.places
            .retain(|ifindex, _| uplinks.iter().any(|uplink| uplink.ifindex == *ifindex));
        for uplink in uplinks {
            let used: BTreeSet<u32> = self.places.values().copied().collect();
            // The first belongs to the pair.
            let mut free = (1..UPLINKS_LEN).map(|index| index * QUEUES);
            if !self.places.contains_key(&uplink.ifindex)
                && let Some(first) = free.find(|first| !used.contains(first))
            {
                self.places.insert(uplink.ifindex, first);
            }
        }
    }

    /// Each queue's state.
    pub fn health(&self) -> Vec<(Seat, Health)> {
        let all = self.stations.iter();
        all.map(|(seat, station)| (*seat, station.health()))
            .collect()
    }

    /// Ends every worker and its socket; others take their places. How many there are.
    pub fn restart(&self) -> usize {
        for station in self.stations.values() {
            station.restart();
        }
        self.stations.len()
    }

    /// Ends all workers: nothing goes to user space any more.
    pub fn stop(&mut self) {
        self.stations.clear();
    }
}
