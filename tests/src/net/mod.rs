//! Real `nved`s between network namespaces, for the tests of tier 3.

mod attach;
mod burst;
mod counts;
pub mod decode;
pub mod dhcp;
pub mod disk;
pub mod documents;
mod everywhere;
pub mod fabric;
pub mod hear;
mod kernel;
mod link;
mod lookups;
pub mod outer;
pub mod path;
pub mod plan;
mod planned;
mod process;
mod raw;
mod site;
pub mod socket;
pub mod stream;
pub mod systemd;
mod tap;
pub mod traces;
mod traffic;
pub mod watch;
pub mod ways;

pub use attach::cable;
pub use burst::Burst;
pub use documents::remote_record;
pub use everywhere::{everywhere, families};
pub use kernel::has_tcx;
pub use link::Link;
pub use lookups::{Lookups, PAIR, sent_by};
pub use process::Process;
pub use raw::{Frame, PacketSocket};
pub use site::{Site, evidence, proof, refused};
pub use tap::TapVm;
pub use traffic::{ping, tcp, udp};
pub use xtask::lab::inside;

use std::time::Duration;

/// How long anything may take that is expected to happen.
pub const SOON: Duration = Duration::from_secs(20);
