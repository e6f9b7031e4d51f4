//! NDJSON: a JSON document a line, any number, one at a time.

use std::{
    fmt,
    io::{BufRead, Read},
};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    Located, Positions,
    place::{Name, Part},
    record_line, typed,
    yaml::Tree,
};
use crate::policy::diagnostic::Diagnostic;

/// Longest line.
const MAX_LINE: u64 = 1024 * 1024;

/// Documents of a stream, as they are read.
pub struct Ndjson<R> {
    file: String,
    reader: R,
    line: u32,
    index: usize,
    done: bool,
}

/// Reads a stream. Empty lines are skipped. After a line with faults reading
/// goes on; after an over-long line or an error of the reader it ends.
pub fn read_ndjson<R: BufRead>(file: &str, reader: R) -> Ndjson<R> {
    Ndjson {
        file: file.to_owned(),
        reader,
        line: 0,
        index: 0,
        done: false,
    }
}

impl<R: BufRead> Ndjson<R> {
    /// Goes on behind the ordinary lookup records that come next; how many those were.
    pub fn skim(&mut self) -> usize {
        let before = self.index;
        while !self.done {
            // An error comes again where it is told.
            let Ok(text) = self.reader.fill_buf() else {
                break;
            };
            let mut used = 0;
            while let Some((_, length)) = record_line(&text[used..])
                && length as u64 <= MAX_LINE
            {
                used += length;
                self.line += 1;
                self.index += 1;
            }
            self.reader.consume(used);
            // The next is another line, or not all of it is here.
            if used == 0 {
                break;
            }
        }
        self.index - before
    }
}

impl<R: BufRead> Iterator for Ndjson<R> {
    type Item = Result<Located, Vec<Diagnostic>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let mut text = Vec::new();
            self.line += 1;
            let mut limited = self.reader.by_ref().take(MAX_LINE + 1);
            match limited.read_until(b'\n', &mut text) {
                Err(error) => {
                    self.done = true;
                    return Some(Err(vec![self.fault(
                        0,
                        format!("cannot be read: {error}"),
                        "",
                    )]));
                }
                Ok(0) => return None,
                Ok(length) if length as u64 > MAX_LINE => {
                    self.done = true;
                    let message = format!("the line is longer than {MAX_LINE} bytes");
                    return Some(Err(vec![self.fault(
                        0,
                        message,
                        "write one document a line",
                    )]));
                }
                Ok(_) if text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(self.document(&text)),
            }
        }
        None
    }
}

impl<R> Ndjson<R> {
    fn document(&mut self, text: &[u8]) -> Result<Located, Vec<Diagnostic>> {
        let value = serde_json::from_slice::<Strict>(text).map_err(|error| {
            let column = u32::try_from(error.column()).unwrap_or(u32::MAX);
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            vec![self.fault(
                column,
                format!("not well-formed: {message}"),
                "write one document a line",
            )]
        })?;
        let place = places(&value.0, self.line);
        let tree = Tree {
            value: value.0,
            place,
        };
        let typed::Reading {
            document,
            mut faults,
        } = typed::document(tree);
        for fault in &mut faults {
            fault.file.clone_from(&self.file);
        }
        let (document, positions) = match document {
            Some(document) if faults.is_empty() => document,
            _ => return Err(faults),
        };
        let index = self.index;
        self.index += 1;
        Ok(Located {
            document,
            index,
            positions,
        })
    }

    fn fault(&self, column: u32, message: String, hint: &str) -> Diagnostic {
        Diagnostic {
            file: self.file.clone(),
            line: self.line,
            column,
            message,
            hint: hint.to_owned(),
            ..Diagnostic::default()
        }
    }
}

/// Places of a value that stands on one line.
fn places(value: &Value, line: u32) -> Positions {
    let part = |name, value| Part {
        name,
        place: places(value, line),
    };
    let parts = match value {
        Value::Object(map) => {
            let fields = map.iter();
            fields
                .map(|(key, value)| part(Name::Field(key.as_str().into()), value))
                .collect()
        }
        Value::Array(list) => {
            let elements = list.iter().enumerate();
            elements
                .map(|(index, value)| part(Name::Element(index), value))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    Positions {
        line,
        column: 0,
        parts,
    }
}

/// A JSON value whose objects have no key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(value)) = access.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = access.next_entry::<String, Strict>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!("`{key}` stands twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
