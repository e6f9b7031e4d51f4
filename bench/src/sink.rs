//! The end of a path: counts packets and drops them.

use anyhow::Result;
use aya::Ebpf;
use dataplane_common::id::Mac;

use crate::{
    paths::Place,
    programs::{self, Hook},
    scenario,
};

/// A program that counts what a device receives.
pub struct Sink(Ebpf);

impl Sink {
    /// Attaches it; packets that arrive from now on end here.
    pub fn attach(place: &Place, form: scenario::Sink) -> Result<Self> {
        let mut ebpf = programs::loader().load(programs::OBJECT)?;
        let program = match form {
            scenario::Sink::Frame => ("bench_sink_xdp", Hook::Xdp),
            scenario::Sink::Skb => ("bench_sink_tc", Hook::Tc),
        };
        programs::attach(&mut ebpf, program, &place.netns, place.device)?;
        Ok(Self(ebpf))
    }

    /// Packets so far.
    pub fn received(&self) -> Result<u64> {
        programs::total(&self.0, "RECEIVED")
    }

    /// The same, CPU by CPU: each queue is served by one.
    pub fn by_cpu(&self) -> Result<Vec<u64>> {
        programs::by_cpu(&self.0, "RECEIVED")
    }
}

/// What a frame in the underlay shows of the record that it was sent by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown([u32; 4]);

impl Shown {
    /// Outer destination, VSID, and inner destination MAC.
    pub fn new(pa: [u8; 4], vsid: u32, mac: Mac) -> Self {
        let Mac([first @ .., fifth, sixth]) = mac;
        Self([
            u32::from_be_bytes(pa),
            vsid,
            u32::from_ne_bytes(first),
            u32::from(u16::from_ne_bytes([fifth, sixth])),
        ])
    }
}

/// A program that counts frames by what they show.
pub struct Watcher(Ebpf);

/// Frames by what they showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// One of the two records, as a whole.
    pub whole: [u64; 2],
    /// Neither.
    pub mixed: u64,
}

impl Seen {
    /// All of them.
    pub fn total(self) -> u64 {
        self.whole.iter().sum::<u64>() + self.mixed
    }
}

impl Watcher {
    /// Attaches it; frames that arrive from now on end here.
    pub fn attach(place: &Place, looks: [Shown; 2]) -> Result<Self> {
        let looks = looks.map(|Shown(words)| words);
        let mut loader = programs::loader();
        programs::set(&mut loader, "SHOWN_LOOKS", &looks);
        let mut ebpf = loader.load(programs::OBJECT)?;
        let program = ("bench_sink_shown", Hook::Xdp);
        programs::attach(&mut ebpf, program, &place.netns, place.device)?;
        Ok(Self(ebpf))
    }

    /// Frames so far.
    pub fn seen(&self) -> Result<Seen> {
        let of = |index| -> Result<u64> {
            let cpus = programs::element_by_cpu(&self.0, "SHOWN", index)?;
            Ok(cpus.iter().sum())
        };
        Ok(Seen {
            whole: [of(0)?, of(1)?],
            mixed: of(2)?,
        })
    }
}
