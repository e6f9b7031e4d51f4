//! What sends packets into a path, as fast as it goes.

pub(crate) mod cpus;
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

/// Variable of the environment that each guest of `cargo xtask vm` sets.
const GUEST: &str = "NVE_GUEST";

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

    /// Whether each of its threads has sent since then.
    fn all_send(&self) -> Result<bool>;

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
    /// pktgen in a guest of `cargo xtask vm`, unless it cannot make such packets. On a machine itself
    /// live frames for all packets: two generators would make rows differ that say the same.
    pub fn choose(built: &Built, load: &Load) -> Self {
        let is_guest = std::env::var_os(GUEST).is_some();
        if is_guest && pktgen::can(&built.frames, load).is_ok() && pktgen::available() {
            Self::Pktgen
        } else {
            Self::LiveFrames
        }
    }

    /// The word in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LiveFrames => "live-frames",
            Self::Pktgen => "pktgen",
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
