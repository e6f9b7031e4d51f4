//! How answers look. Everything here writes what it is given to a writer and
//! does nothing else, so that nvectl, tests and messages can share it.

mod counts;
mod drop_reasons;
mod objects;
mod report;
mod status;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod upcalls;
mod yaml;

use std::io::{self, Write};

use serde::Serialize;

pub use self::{
    counts::{counters_into, drops_into},
    drop_reasons::drop_reasons_into,
    objects::{names_into, objects_into},
    report::{Summary, change_into, problem_into, restarted_into, unloaded_into},
    status::{brief, status_into, version_into},
    table::{Table, View},
    upcalls::{upcall_names_into, upcalls_into},
    yaml::{document_yaml, documents_into, yaml_into},
};

/// A value as JSON, indented, with a line feed.
pub fn json_into(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
