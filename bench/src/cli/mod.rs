//! The verbs of the command line.

pub(crate) mod list;
pub(crate) mod report;
pub(crate) mod run;
mod what;
