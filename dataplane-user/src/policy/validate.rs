//! STUB
use super::{document::Document, fault::Fault, model::Policy};

/// A document and its number in the request; `None` for a stored one.
pub type Numbered = (Option<usize>, Document);

/// Numbers the documents of a request from 0.
pub fn numbered(documents: impl IntoIterator<Item = Document>) -> Vec<Numbered> {
    let documents = documents.into_iter().enumerate();
    documents.map(|(i, d)| (Some(i), d)).collect()
}

/// What would be stored after applying.
pub fn merge(_stored: Vec<Document>, _applied: Vec<Document>) -> Vec<Numbered> {
    unimplemented!()
}

/// Checks every rule.
pub fn validate(_documents: &[Numbered]) -> Result<Policy, Vec<Fault>> {
    unimplemented!()
}
