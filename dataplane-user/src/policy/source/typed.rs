//! A tree of values -> a document, with every fault of its structure.
//!
//! Serde stops at the first fault. So what is at fault is taken out of the tree
//! and the rest tried again; that a taken-out field is now missing is no news.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{
    Positions,
    place::{Name, Part},
    words::{explain, nearest},
    yaml::Tree,
};
use crate::{
    control::protocol::KINDS,
    policy::{
        diagnostic::Diagnostic,
        document::{Document, Envelope},
    },
};

/// Faults to report of one document.
const MAX_FAULTS: usize = 50;

/// A document as far as it could be read, and what is wrong with its structure.
#[derive(Default)]
pub(super) struct Reading {
    /// The document, without what was at fault; `None` when too much was.
    pub(super) document: Option<(Document, Positions)>,
    /// The faults; none of a sound document.
    pub(super) faults: Vec<Diagnostic>,
}

/// Reads a document.
pub(super) fn document(tree: Tree) -> Reading {
    let Tree { mut value, place } = tree;
    let kind = match take_kind(&mut value) {
        Ok(kind) => kind,
        Err((path, message, hint)) => {
            return Reading {
                document: None,
                faults: vec![at(&place, path, message, hint)],
            };
        }
    };
    let tree = Tree { value, place };
    match kind {
        "ProviderNetwork" => envelope(kind, tree, Document::ProviderNetwork),
        "Host" => envelope(kind, tree, Document::Host),
        "VMNetwork" => envelope(kind, tree, Document::VMNetwork),
        "Port" => envelope(kind, tree, Document::Port),
        "CustomerRoute" => envelope(kind, tree, Document::CustomerRoute),
        _ => envelope(kind, tree, Document::LookupRecord),
    }
}

type Complaint = (&'static str, String, String);

/// The kind decides about all else, so it is looked at first.
fn take_kind(value: &mut Value) -> Result<&'static str, Complaint> {
    let known = || format!("use one of {}", KINDS.join(", "));
    let Value::Object(fields) = value else {
        let hint = "a document is a mapping of apiVersion, kind, metadata and spec";
        return Err(("", "this is no document".into(), hint.into()));
    };
    let kind = match fields.remove("kind") {
        Some(Value::String(kind)) => kind,
        Some(_) => return Err(("kind", "kind is no text".into(), known())),
        None => return Err(("", "kind is missing".into(), known())),
    };
    let found = KINDS.into_iter().find(|known| *known == kind);
    found.ok_or_else(|| {
        let near = nearest(&kind, &KINDS).map(|near| format!("did you mean {near}?"));
        let message = format!("unknown kind `{kind}`");
        ("kind", message, near.unwrap_or_else(known))
    })
}

fn envelope<S: DeserializeOwned>(
    kind: &str,
    mut tree: Tree,
    wrap: fn(Envelope<S>) -> Document,
) -> Reading {
    let object = object(kind, &tree.value);
    let whole = tree.place.clone();
    let mut faults: Vec<Diagnostic> = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    for _ in 0..4 * MAX_FAULTS {
        let error = match serde_path_to_error::deserialize::<_, Envelope<S>>(&tree.value) {
            Ok(envelope) => {
                let document = Some((wrap(envelope), whole));
                return Reading { document, faults };
            }
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let missing = quoted(&message).filter(|_| message.starts_with("missing field"));
        let path = take_out(&mut tree, error.path());
        let followup = missing.is_some_and(|field| removed.contains(&join(&path.shown, field)));
        if !followup {
            let (message, hint, meant) = explain(&message, path.text.as_deref());
            if let Some(field) = meant {
                let parent = path.shown.rsplit_once('.').map_or("", |(parent, _)| parent);
                removed.push(join(parent, &field));
            }
            let mut fault = at(&whole, &path.shown, message, hint);
            fault.object.clone_from(&object);
            faults.push(fault);
        }
        removed.push(path.removed);
        if path.is_root || faults.len() >= MAX_FAULTS {
            break;
        }
    }
    Reading {
        document: None,
        faults,
    }
}

fn at(place: &Positions, path: &str, message: String, hint: String) -> Diagnostic {
    let (line, column) = place.find(path);
    Diagnostic {
        line,
        column,
        path: path.to_owned(),
        message,
        hint,
        ..Diagnostic::default()
    }
}

/// Where a fault is in the file, and what was taken out for it.
struct TakenOut {
    shown: String,
    removed: String,
    /// The value, if it was text.
    text: Option<String>,
    is_root: bool,
}

/// Takes the value at `path` out of the tree: what is wrong, or what lacks a
/// field. Where the root lacks one, or the path leads nowhere, nothing goes on.
fn take_out(tree: &mut Tree, path: &Path) -> TakenOut {
    let mut shown = String::new();
    let (mut value, mut place) = (&mut tree.value, &mut tree.place);
    let segments: Vec<&Segment> = path.iter().collect();
    for (number, segment) in segments.iter().enumerate() {
        let Some(index) = index_of(segment, value, place) else {
            break;
        };
        shown = match &place.parts[index].name {
            Name::Field(field) => join(&shown, field),
            Name::Element(element) => format!("{shown}[{element}]"),
        };
        if number + 1 == segments.len() {
            let text = remove(value, place, index);
            let removed = shown.clone();
            return TakenOut {
                shown,
                removed,
                text,
                is_root: false,
            };
        }
        let Part { name, place: part } = &mut place.parts[index];
        value = match (value, &*name) {
            (Value::Object(map), Name::Field(field)) => match map.get_mut(&**field) {
                Some(child) => child,
                None => break,
            },
            (Value::Array(list), Name::Element(_)) => &mut list[index],
            _ => break,
        };
        place = part;
    }
    let removed = shown.clone();
    TakenOut {
        shown,
        removed,
        text: None,
        is_root: true,
    }
}

fn index_of(segment: &Segment, value: &Value, place: &Positions) -> Option<usize> {
    match segment {
        Segment::Seq { index } => value.get(index).map(|_| *index),
        Segment::Map { key } => {
            let is = |part: &Part| matches!(&part.name, Name::Field(field) if **field == **key);
            place.parts.iter().position(is)
        }
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn remove(value: &mut Value, place: &mut Positions, index: usize) -> Option<String> {
    let part = place.parts.remove(index);
    let removed = match (value, part.name) {
        (Value::Object(map), Name::Field(field)) => map.remove(&*field),
        (Value::Array(list), _) => Some(list.remove(index)),
        _ => None,
    };
    removed?.as_str().map(str::to_owned)
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// The object, as well as can be told.
fn object(kind: &str, value: &Value) -> String {
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str);
    let kind = kind.to_lowercase();
    match (text("/metadata/vmNetwork"), text("/metadata/name")) {
        (Some(network), Some(name)) => format!("{kind}/{network}/{name}"),
        (None, Some(name)) => format!("{kind}/{name}"),
        (_, None) => kind,
    }
}
