//! Text -> documents with positions, and all faults of a file at once.
//!
//! YAML and JSON go through the parser's events into a plain tree ([`yaml`]),
//! NDJSON line by line into the same tree ([`ndjson`]); [`typed`] turns a tree
//! into a document. Anchors, aliases, merge keys, tags, duplicate keys and
//! unknown fields are refused: a policy says what it says, once.

mod ndjson;
mod place;
mod record;
mod rules;
mod typed;
mod words;
mod yaml;

pub use ndjson::{Ndjson, read_ndjson};
pub use place::Positions;
pub use record::{RecordLine, record_line};

use super::{diagnostic::Diagnostic, document::Document};

/// Largest file.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 32;
/// Most values in one document.
pub const MAX_NODES: usize = 1_000_000;

/// A document and where its parts stand in the file.
#[derive(Clone, Debug)]
pub struct Located {
    /// The document.
    pub document: Document,
    /// Its number in the file, from 0.
    pub index: usize,
    /// Where its parts are.
    pub positions: Positions,
}

/// Reads a file of YAML documents, or of one JSON document. `file` is its name,
/// for messages.
pub fn load(file: &str, text: &str) -> Result<Vec<Located>, Vec<Diagnostic>> {
    if text.len() > MAX_BYTES {
        return Err(vec![Diagnostic {
            file: file.to_owned(),
            message: format!("the file has {} bytes", text.len()),
            hint: "keep below 64 MiB, or write one JSON document a line in a .ndjson file".into(),
            ..Diagnostic::default()
        }]);
    }
    let mut found = Vec::new();
    let mut faults = Vec::new();
    yaml::each_document(text, |tree, unsound| {
        faults.extend(unsound);
        // What an alias or a merge key stands for is not known: no more about it.
        let Some(tree) = tree else { return };
        let reading = typed::document(tree);
        faults.extend(reading.faults);
        found.extend(reading.document.map(|(document, positions)| Located {
            document,
            index: found.len(),
            positions,
        }));
    });
    if faults.is_empty() {
        return Ok(found);
    }
    let broken = rules::broken(&found, &faults);
    faults.extend(broken);
    for fault in &mut faults {
        file.clone_into(&mut fault.file);
    }
    faults.sort_by_key(|fault| (fault.line, fault.column));
    Err(faults)
}

#[cfg(test)]
mod tests;
