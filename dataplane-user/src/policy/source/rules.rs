//! Rules that a file breaks besides the faults of its structure, so that all of
//! a file's faults are told at once.
//!
//! What the file refers to and does not hold may be stored, or stand in a
//! document that could not be read: about that nothing is said here.

use std::collections::BTreeSet;

use super::Located;
use crate::{
    control::protocol::Problem,
    policy::{
        diagnostic::Diagnostic,
        key::Key,
        validate::{numbered, validate},
    },
};

/// Faults of the documents that could be read, as far as they are not a
/// consequence of `known` ones.
pub(super) fn broken(found: &[Located], known: &[Diagnostic]) -> Vec<Diagnostic> {
    let documents = numbered(found.iter().map(|located| located.document.clone()));
    let Err(faults) = validate(&documents) else {
        return Vec::new();
    };
    let held: BTreeSet<Key> = documents.iter().map(|(_, d)| Key::of(d)).collect();
    faults
        .into_iter()
        .filter(|fault| fault.related.iter().all(|key| held.contains(key)))
        .map(|fault| Diagnostic::locate("", &Problem::from(fault), found))
        .filter(|fault| !known.iter().any(|cause| follows(fault, cause)))
        .collect()
}

/// Whether a fault may come from what was taken out for `cause`: it is about the
/// same field of the same object, or one around or inside it.
fn follows(fault: &Diagnostic, cause: &Diagnostic) -> bool {
    let (path, taken) = (&fault.path, &cause.path);
    // An object whose name was at fault goes by its kind alone.
    let nameless = fault.object.strip_suffix('/') == Some(&cause.object);
    let same = fault.object == cause.object || nameless;
    same && (path.starts_with(taken) || taken.starts_with(path))
}
