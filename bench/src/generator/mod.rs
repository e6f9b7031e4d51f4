//! What sends packets into a path, as fast as it goes.

pub mod keys;
pub mod live_frames;
pub mod pktgen;

use anyhow::Result;

use crate::{
    paths::{Absence, Built},
    scenario::Keys,
};
use live_frames::LiveFrames;
use pktgen::Pktgen;

/// What a generator is asked for, besides the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Which keys.
    pub keys: Keys,
    /// Of how many.
    pub records: u32,
    /// Threads, each on a CPU of its own: the first ones that this process may use.
    pub threads: u32,
    /// Begin of whatever is random.
    pub seed: u64,
}

/// Sends frames of one path out of its source.
pub trait Generator: Send {
    /// Sends exactly so many frames from the first CPU, and returns when they are sent. Not while it runs.
    fn send(&mut self, frames: u32) -> Result<()>;

    /// Begins to send without end, and returns.
    fn start(&mut self) -> Result<()>;

    /// Ends that; nothing is sent any more when it returns. Does nothing when nothing runs.
    fn stop(&mut self) -> Result<()>;

    /// Frames sent since it was made.
    fn sent(&self) -> Result<u64>;
}

/// The generators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`LiveFrames`].
    LiveFrames,
    /// [`Pktgen`].
    Pktgen,
}

impl Kind {
    /// pktgen where the kernel has it, unless it cannot make such packets.
    pub fn choose(built: &Built, load: &Load) -> Self {
        if pktgen::can(&built.frames, load).is_ok() && pktgen::available() {
            Self::Pktgen
        } else {
            Self::LiveFrames
        }
    }

    /// Makes one for a path.
    pub fn make(self, built: &Built, load: &Load) -> Result<Box<dyn Generator>, Absence> {
        let (source, frames) = (&built.source, &built.frames);
        Ok(match self {
            Self::LiveFrames => Box::new(LiveFrames::new(source, frames, load)?),
            Self::Pktgen => Box::new(Pktgen::new(source, frames, load)?),
        })
    }
}
