//! What the slow path is to the programs: somebody who listens, what a port may ask, a way back.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aya::{
    maps::{Array, XskMap},
    programs::ProgramError,
};
use dataplane_common::{
    abi::{
        bucket::BUCKETS_LEN,
        config::Config,
        lookup::{LookupEntry, LookupKey},
        upcall::{PAIR, QUEUES, UpcallHeader},
    },
    records,
};
use dataplane_user::{policy::table_image::TableImage, slowpath::socket::Xsk};
use rustix::time::{ClockId, clock_gettime};
use xtask::lab::{Netns, inside, unique};

use super::{Hook, Programs, Ran};
use crate::policy::SENDER;

/// Place in `XSKS` of the first queue of an uplink.
pub const UPLINK: u32 = QUEUES;

/// The loopback, the one device of a new namespace.
const LOOPBACK: u32 = 1;

/// An `AF_XDP` socket that programs find in `XSKS` as long as it lives. Nothing comes to it: test
/// runs do not carry out redirects.
pub struct Listener {
    socket: Xsk,
    _netns: Netns,
}

impl Listener {
    /// On the loopback of a namespace of its own, whose only queue nobody else can have.
    pub fn open() -> Result<Self> {
        let netns = Netns::new(&unique("xsk"))?;
        let socket = inside(&netns, || {
            Xsk::open(LOOPBACK, 0, false).context("no AF_XDP socket on the loopback")
        })?;
        Ok(Self {
            socket,
            _netns: netns,
        })
    }
}

impl Programs {
    /// [`Programs::load`] with somebody who listens at the upcall pair.
    pub fn attended(image: &TableImage) -> Result<(Self, Listener)> {
        let mut programs = Self::load(image);
        let listener = Listener::open()?;
        programs.listen(PAIR, &listener);
        Ok((programs, listener))
    }

    /// Puts a socket at this place of `XSKS`.
    pub fn listen(&mut self, place: u32, listener: &Listener) {
        let map = self.ebpf.map_mut("XSKS").expect("map");
        let mut sockets = XskMap::try_from(map).expect("sockets");
        let socket = listener.socket.descriptor();
        sockets.set(place, socket, 0).expect("a bound socket");
    }

    /// The sender's queues have their sockets from [`UPLINK`] on.
    pub fn be_uplink(&mut self) {
        self.put("UPLINKS", &BTreeMap::new(), &[(SENDER, UPLINK)].into());
    }

    /// No port and no routing domain has a token left, and the next comes in four seconds.
    pub fn empty_buckets(&mut self) {
        let map = self.ebpf.map_mut("CONFIG").expect("map");
        let mut settings: Array<_, Config> = Array::try_from(map).expect("array");
        let mut config = settings.get(&0, 0).expect("a setting");
        config.punt_interval = u32::MAX;
        settings.set(0, config, 0).expect("set");
        let depth = u64::from(config.punt_interval) * u64::from(config.punt_burst);
        let now = clock_gettime(ClockId::Monotonic);
        let now = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
        let map = self.ebpf.map_mut("BUCKETS").expect("map");
        let mut buckets: Array<_, u64> = Array::try_from(map).expect("array");
        for bucket in 0..BUCKETS_LEN {
            buckets.set(bucket, now + depth, 0).expect("set");
        }
    }

    /// Writes an entry of `LOOKUP` or `LOOKUP6` with its stamp, of which `LOOKUP` keeps the lower half;
    /// or removes it.
    pub fn set_entry(&mut self, key: LookupKey, entry: Option<LookupEntry>) {
        let Some(entry) = entry else {
            return self.lookups.remove(&key).expect("it was there");
        };
        let Some(short) = key.v4().map(records::key) else {
            return self.lookups.v6().insert(&key, &entry).expect("room");
        };
        let mut table = self.lookups.v4();
        table.insert(short, entry.record).expect("room");
        table.writer_mut().stamp(short, half(entry.stamp));
    }

    /// Reads an entry of `LOOKUP` or `LOOKUP6` that is there.
    pub fn entry(&mut self, key: LookupKey) -> LookupEntry {
        let Some(short) = key.v4().map(records::key) else {
            return self.lookups.v6().current().get(&key, 0).expect("an entry");
        };
        let entry = self.lookups.v4().writer().get(short).expect("an entry");
        LookupEntry {
            record: entry.record,
            stamp: entry.stamp.into(),
        }
    }

    /// Gives a frame back as user space does: to the program at the near end of the upcall pair.
    pub fn give_back(&self, header: UpcallHeader, frame: &[u8]) -> Ran {
        let bytes = [&header.to_bytes(), frame].concat();
        self.try_give_back(&bytes)
            .unwrap_or_else(|error| panic!("{} bytes given back: {error:#?}", frame.len()))
    }

    /// The same with any bytes; the kernel refuses frames that no device can deliver.
    pub fn try_give_back(&self, bytes: &[u8]) -> Result<Ran, ProgramError> {
        self.try_program(Hook::Tc, "nve_tc_upcall", bytes, 0)
    }

    /// What comes out at the far end of the upcall pair.
    pub fn at_far_end(&self, bytes: &[u8]) -> Ran {
        self.try_program(Hook::Xdp, "nve_xdp_upcall", bytes, 0)
            .expect("XDP takes any frame")
    }
}

/// The part of a stamp that `LOOKUP` has room for.
pub fn half(stamp: u32) -> u16 {
    u16::try_from(stamp & u32::from(u16::MAX)).expect("16 bits")
}
