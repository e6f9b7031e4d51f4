//! A laboratory of network namespaces, for the demo and for the privileged tests.
//!
//! Everything made here is a guard: what it stands for goes away when it is dropped, also when a
//! test panics. What a killed run leaves behind bears the run's pid and is found by [`sweep`].

mod bpffs;
mod command;
mod inside;
mod interrupt;
pub mod iperf;
mod names;
mod netns;
mod nve;
mod process;
mod recorded;
mod skip;
mod topology;
mod wait;

pub use bpffs::{BPFFS, bpffs_mounted, remove_pins};
pub use command::{Output, PATIENCE, output, run, run_always};
pub use inside::{enter, enter_file, inside};
pub use interrupt::{catch_signals, interrupted};
pub(crate) use names::sweep_folders;
pub use names::{TempDir, pid_alive, sweep, unique};
pub use netns::Netns;
pub use nve::{Nve, NveSpec, bin_dir};
pub use process::Proc;
pub use recorded::Recorded;
pub use skip::{SKIP_LOG, skip};
pub use topology::{Host, Topology, UNDERLAY_MTU, two_hosts};
pub use wait::wait_until;
