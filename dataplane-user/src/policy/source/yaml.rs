//! Parser events -> a tree of values with places, document by document.

use serde_json::{Map, Number, Value};
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag, options};

use super::{
    MAX_DEPTH, MAX_NODES,
    place::{Name, Part, Positions},
};
use crate::policy::diagnostic::Diagnostic;

/// Faults of one document to report here.
const MAX_REFUSED: usize = 10;

/// A document as read: its value, and where the value's parts are.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) value: Value,
    pub(super) place: Positions,
}

/// Calls `each` with every document; without a tree where it is not well-formed.
/// After a syntax error reading goes on with the next document.
pub(super) fn each_document(text: &str, mut each: impl FnMut(Option<Tree>, Vec<Diagnostic>)) {
    let options: Options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::StreamEnd, _)) => return,
            Ok((Event::DocumentEnd, _)) => {
                let done = std::mem::take(&mut builder);
                // Nothing between two separators is no document.
                let empty = done.root.as_ref().is_none_or(|root| root.value.is_null());
                let tree = done.root.filter(|_| !empty && !done.opaque);
                each(tree, done.faults);
            }
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let mut done = std::mem::take(&mut builder);
                let mark = error.marker();
                let hint = "correct the syntax; the text may be cut off here";
                let at = (mark.line(), mark.col());
                done.faults.push(fault(
                    at,
                    format!("not well-formed: {}", error.info()),
                    hint,
                ));
                each(None, done.faults);
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    return;
                }
            }
        }
    }
}

/// A fault at a mark of the parser, whose columns count from 0.
fn fault((line, column): (usize, usize), message: impl Into<String>, hint: &str) -> Diagnostic {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Diagnostic {
        line: number(line),
        column: number(column).saturating_add(1),
        message: message.into(),
        hint: hint.to_owned(),
        ..Diagnostic::default()
    }
}

/// A document in the making.
#[derive(Default)]
struct Builder {
    root: Option<Tree>,
    /// The open mappings and sequences.
    open: Vec<Open>,
    nodes: usize,
    faults: Vec<Diagnostic>,
    /// Something stands for a value that is not read.
    opaque: bool,
}

struct Open {
    tree: Tree,
    /// In a mapping: the key whose value comes next.
    key: Option<(String, bool)>,
}

impl Builder {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum may grow; what is no node does not concern a tree"
    )]
    fn event(&mut self, event: Event<'_>, span: &Span) {
        let at = (span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(at, anchor, tag.as_deref());
                let text = text.into_owned();
                let value = if style == ScalarStyle::Plain {
                    plain(&text)
                } else {
                    Value::String(text.clone())
                };
                self.scalar(at, &text, value);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse(at, anchor, tag.as_deref());
                self.start(at, Value::Array(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse(at, anchor, tag.as_deref());
                self.start(at, Value::Object(Map::new()));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.put(open.tree);
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refused(at, "aliases are refused", "write the value out");
                self.scalar(at, "*", Value::Null);
            }
            _ => {}
        }
    }

    fn refuse(&mut self, at: (usize, usize), anchor: usize, tag: Option<&Tag>) {
        if anchor != 0 {
            let hint = "remove the anchor, and write out values that refer to it";
            self.refused(at, "anchors are refused", hint);
        }
        if tag.is_some() {
            self.refused(at, "tags are refused", "remove the tag");
        }
    }

    /// A bomb shall not explode into messages either.
    fn refused(&mut self, at: (usize, usize), message: &str, hint: &str) {
        self.opaque = true;
        if self.faults.len() < MAX_REFUSED {
            self.faults.push(fault(at, message, hint));
        }
    }

    fn start(&mut self, at: (usize, usize), value: Value) {
        if self.open.last().is_some_and(Open::wants_key) {
            self.faults
                .push(fault(at, "this key is no text", "use a field's name"));
            self.key(at, String::new());
        }
        let tree = tree(at, value);
        self.open.push(Open { tree, key: None });
    }

    fn scalar(&mut self, at: (usize, usize), text: &str, value: Value) {
        if self.open.last().is_some_and(Open::wants_key) {
            self.key(at, text.to_owned());
        } else {
            self.put(tree(at, value));
        }
    }

    fn key(&mut self, at: (usize, usize), name: String) {
        let Some(open) = self.open.last() else {
            return;
        };
        let duplicate = open.tree.place.field(&name).map(|first| first.line);
        if let Some(line) = duplicate {
            let message = format!("`{name}` stands twice, first near line {line}");
            let hint = "remove one of the two";
            self.faults.push(fault(at, message, hint));
        } else if name == "<<" {
            self.refused(at, "merge keys are refused", "write the fields out");
        }
        if let Some(open) = self.open.last_mut() {
            open.key = Some((name, duplicate.is_none()));
        }
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, tree: Tree) {
        self.nodes += 1;
        if self.nodes == MAX_NODES {
            let at = (tree.place.line as usize, tree.place.column as usize);
            let hint = "split it into several documents";
            self.faults
                .push(fault(at, "the document has too many values", hint));
        }
        if self.nodes >= MAX_NODES {
            return;
        }
        match self.open.last_mut() {
            None => self.root = Some(tree),
            Some(open) => open.put(tree),
        }
    }
}

impl Open {
    fn wants_key(&self) -> bool {
        self.tree.value.is_object() && self.key.is_none()
    }

    fn put(&mut self, child: Tree) {
        let parts = &mut self.tree.place.parts;
        let name = match (&mut self.tree.value, self.key.take()) {
            (Value::Object(map), Some((key, true))) => {
                map.insert(key.clone(), child.value);
                Name::Field(key.into())
            }
            (Value::Array(list), _) => {
                list.push(child.value);
                Name::Element(list.len() - 1)
            }
            _ => return,
        };
        let place = child.place;
        parts.push(Part { name, place });
    }
}

fn tree((line, column): (usize, usize), value: Value) -> Tree {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let place = Positions {
        line: number(line),
        column: number(column).saturating_add(1),
        parts: Vec::new(),
    };
    Tree { value, place }
}

/// A plain scalar by YAML 1.2's core schema. Infinities stay text.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok()
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::from(number);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    let numeric = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let float = text.bytes().all(numeric).then(|| text.parse::<f64>().ok());
    match float.flatten().and_then(Number::from_f64) {
        Some(number) => Value::Number(number),
        None => Value::String(text.to_owned()),
    }
}
