//! A policy's way: load -> validate -> compile -> diff -> commit.
//!
//! ```text
//! YAML, JSON, NDJSON text
//!   | source::load             documents with positions, or all faults with line and column
//!   v
//! [document::Document]         what users write; also the API's and the store's form
//!   | store::objects::apply    with what is stored (merge), validated, one transaction
//!   | validate                 every rule about names, numbers and references
//!   v
//! model::Policy                checked and typed
//!   | compile                  for one host, with facts about its devices and underlay
//!   v
//! table_image::TableImage      what the BPF maps shall hold, as plain values
//!   | diff                     against what they hold, in make-before-break order
//!   v
//! [diff::MapOp]                the dataplane commits them
//! ```
//!
//! Everything here is pure: no files, no sockets, no maps. `store` does the I/O.

pub mod compile;
pub mod diagnostic;
pub mod diff;
pub mod document;
pub mod fault;
pub mod ids;
pub mod in_use;
pub mod key;
pub mod model;
pub mod records;
pub mod source;
pub mod table_image;
pub mod validate;

pub use compile::{AttachedPort, CompileError, Facts, Links, Scope, Upcall, compile};
pub use diagnostic::Diagnostic;
pub use diff::{MapOp, diff, diff_but_records};
pub use fault::Fault;
pub use ids::{Ids, gateway_mac};
pub use key::{Key, PortKey};
pub use model::{DerivedRecord, Policy, derived_records};
pub use source::{Located, load, read_ndjson};
pub use validate::{Numbered, merge, numbered, validate, validate_with};

/// Loads a file and validates it by itself, as if nothing were stored. All faults
/// of one of the two steps come at once. A file that refers to stored objects is
/// for the agent to validate: [`load`] it, and [`Diagnostic::locate`] the answer.
pub fn check(file: &str, text: &str) -> Result<(Vec<Located>, Policy), Vec<Diagnostic>> {
    let located = load(file, text)?;
    let documents = numbered(located.iter().map(|l| l.document.clone()));
    match validate(&documents) {
        Ok(policy) => Ok((located, policy)),
        Err(faults) => {
            let problems = faults
                .into_iter()
                .map(crate::control::protocol::Problem::from);
            let locate = |problem| Diagnostic::locate(file, &problem, &located);
            let mut faults: Vec<Diagnostic> = problems.map(locate).collect();
            faults.sort_by_key(|fault| (fault.line, fault.column));
            Err(faults)
        }
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
pub(crate) mod testing;
