//! A station at each queue: that of the upcall pair, and those of the uplinks with XDP.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use crossbeam_channel::Receiver;
use dataplane_common::abi::upcall::{PAIR, QUEUES, UPLINKS_LEN};

use super::{
    Limits,
    health::{Health, Seat},
    lane::{Lane, Returned, ring},
    station::{Station, bell},
    worker::{Office, Queue},
};

/// The stations.
pub struct Seats {
    limits: Limits,
    pin: PathBuf,
    office: Office,
    stations: BTreeMap<Seat, Station>,
    /// The way to the upcall pair's worker, for the others; its end, for whichever worker has it.
    lane: (Lane, Receiver<Returned>),
    pair_bell: Arc<OwnedFd>,
    /// How stations were that are gone, until another takes over.
    former: BTreeMap<u32, Health>,
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

impl Uplink {
    /// Queues that get a worker; packets of the others go by the upcall pair.
    pub fn served(&self) -> u32 {
        self.queues.min(QUEUES)
    }
}

impl Seats {
    /// None yet. `pin`: the pin folder, whose `XSKS` the programs look sockets up in.
    pub fn new(limits: Limits, pin: &Path, office: Office) -> io::Result<Self> {
        let pair_bell = bell()?;
        Ok(Self {
            limits,
            pin: pin.to_owned(),
            office,
            stations: BTreeMap::new(),
            lane: Lane::new(pair_bell.clone()),
            pair_bell,
            former: BTreeMap::new(),
            places: BTreeMap::new(),
        })
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
            let queues = 0..uplink.served();
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
        let over = |(seat, station): &(&Seat, &Station)| !seats.contains(seat) || station.is_over();
        let gone = self.stations.iter().filter(over).map(|(seat, _)| *seat);
        let gone: Vec<Seat> = gone.collect();
        for seat in gone {
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

    /// Ends a station. What it told goes on with the one that takes its place.
    fn leave(&mut self, seat: Seat) {
        if let Some(station) = self.stations.remove(&seat) {
            self.former.insert(seat.place, station.end());
        }
    }

    fn station(&mut self, seat: Seat) -> io::Result<Station> {
        let (queue, bell) = if seat.place == PAIR {
            (Queue::Pair(self.lane.1.clone()), self.pair_bell.clone())
        } else {
            let lane = self.lane.0.clone();
            (Queue::Uplink(seat.ifindex, lane), bell()?)
        };
        let former = self.former.remove(&seat.place);
        let room = (self.limits, &*self.pin, bell, former.as_ref());
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

    /// The way to the programs.
    pub const fn lane(&self) -> &Lane {
        &self.lane.0
    }

    /// Has the upcall pair's worker look at what waits.
    pub fn wake(&self) {
        ring(&self.pair_bell);
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
