//! The one writer of the table of lookup records in plain memory; the protocol and its readers are
//! in [`dataplane_common::records`].
//!
//! * [`memory`]: words that readers see while they are written.
//! * [`slots`]: what a slot holds, and the store that publishes.
//! * [`writer`]: insert, update, remove, content.
//! * [`cuckoo`]: the search for room.
//! * [`adopt`]: a table that an earlier writer left.
//! * [`table`]: one table after the other, as records become more or fewer, and [`refused`] when not;
//!   [`home`] is where they are, [`size`] how large, [`patience`] when they may follow each other, and
//!   [`copy`] how.
//! * [`mapped`]: a table's memory in the kernel.
//!
//! Two writers would undo each other's stores of the control words: who maps the memory sees to it
//! that there is one.

pub mod adopt;
mod copy;
mod cuckoo;
pub mod home;
pub mod mapped;
pub mod memory;
pub mod patience;
pub mod refused;
mod size;
mod slots;
pub mod table;
pub mod writer;

#[cfg(test)]
mod tests;

pub use adopt::Swept;
pub use home::{Home, Outer};
pub use mapped::{Mapped, Viewed};
pub use memory::{Memory, Shared};
pub use refused::{Refused, Untended};
pub use slots::Entry;
pub use table::Table;
pub use writer::{Full, Misfit, Writer};
