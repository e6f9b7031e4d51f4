//! The end of a path: counts packets and drops them.

use anyhow::Result;
use aya::Ebpf;

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
