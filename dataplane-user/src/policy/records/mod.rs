//! Very many lookup records, compactly.
//!
//! * [`chunks`]: sorted items in pieces that copies share.
//! * [`entry`]: an item of these.
//! * [`record`] and [`set`]: the records that documents state; [`names`]: what they share.
//! * [`batch`]: those of one request.
//! * [`table`]: the records of a host's table; [`sites`]: where they are.

mod batch;
mod chunks;
mod entry;
mod names;
mod record;
mod set;
mod sites;
mod table;

pub use batch::Batch;
pub use chunks::{Changed, Chunks, Item};
pub use record::{Extra, Kind, Record};
pub use set::{At, Place, Records};
pub use table::{RecordChange, RecordTable};
