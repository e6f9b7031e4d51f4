//! A fault that validation finds, before anybody knows about files and lines.

use super::key::Key;
use crate::control::protocol::Problem;

/// One thing that is wrong with a set of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The document, by its number in the request; `None` for a stored one.
    pub document: Option<usize>,
    /// The object.
    pub object: Key,
    /// The field, as `spec.virtualSubnets[0].prefixes[1]`; may be empty.
    pub path: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// Other objects that the rule compared with.
    pub related: Vec<Key>,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self {
            object: fault.object.to_string(),
            document: fault.document,
            path: fault.path,
            message: fault.message,
            hint: fault.hint,
        }
    }
}
