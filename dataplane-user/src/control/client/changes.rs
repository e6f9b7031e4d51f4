//! The answer to an apply, told while it comes: very many changes are in no memory at once.

use std::borrow::Cow;

use serde::Deserialize;

use crate::control::protocol::{Action, ApplyReport};

/// A change, as [`crate::control::protocol::Change`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'t> {
    #[serde(borrow)]
    object: Cow<'t, str>,
    action: Action,
}

/// Reads an [`ApplyReport`] in pieces.
#[derive(Default)]
pub(super) struct Changes {
    /// What is around the changes.
    around: Vec<u8>,
    /// What was not read yet.
    rest: Vec<u8>,
    place: Place,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    Within,
    Behind,
}

impl Changes {
    /// Takes a piece, and calls `each` with the changes in it.
    pub(super) fn feed(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(&str, Action),
    ) -> Result<(), serde_json::Error> {
        self.rest.extend_from_slice(piece);
        let mut used = 0;
        if self.place == Place::Before
            && let Some(open) = self.rest.iter().position(|byte| *byte == b'[')
        {
            used = open + 1;
            self.around.extend_from_slice(&self.rest[..used]);
            self.place = Place::Within;
        }
        while self.place == Place::Within {
            let next = &self.rest[used..];
            match next.iter().position(|byte| !b", \t\r\n".contains(byte)) {
                None => break,
                Some(space) if next[space] == b']' => self.place = Place::Behind,
                Some(space) => {
                    let text = &next[space..];
                    let mut told = serde_json::Deserializer::from_slice(text).into_iter::<Told>();
                    match told.next() {
                        Some(Ok(change)) => each(&change.object, change.action),
                        Some(Err(error)) if !error.is_eof() => return Err(error),
                        Some(Err(_)) | None => break,
                    }
                    used += space + told.byte_offset();
                }
            }
        }
        if self.place == Place::Behind {
            self.around.extend_from_slice(&self.rest[used..]);
            used = self.rest.len();
        }
        self.rest.drain(..used);
        Ok(())
    }

    /// The revision, after the last piece.
    pub(super) fn finish(mut self) -> Result<u64, serde_json::Error> {
        self.around.extend(self.rest);
        let report: ApplyReport = serde_json::from_slice(&self.around)?;
        Ok(report.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"apiVersion":"nve/v1","changes":[{"object":"host/[a],\"]","action":"created"}, {"object":"port/blue/vm1","action":"unchanged"}],"revision":7}"#;

    #[test]
    fn pieces_of_any_length_tell_the_same() {
        for length in 1..REPORT.len() {
            let (mut changes, mut told) = (Changes::default(), Vec::new());
            for piece in REPORT.as_bytes().chunks(length) {
                let each = |object: &str, action| told.push((object.to_owned(), action));
                changes.feed(piece, each).expect("a report");
            }
            let expected = [
                ("host/[a],\"]".to_owned(), Action::Created),
                ("port/blue/vm1".to_owned(), Action::Unchanged),
            ];
            assert_eq!(told, expected);
            assert_eq!(changes.finish().expect("a report"), 7);
        }
    }

    #[test]
    fn what_is_no_report_is_told() {
        let read = |text: &str| {
            let mut changes = Changes::default();
            changes.feed(text.as_bytes(), |_, _| {})?;
            changes.finish()
        };
        assert_eq!(read(&REPORT.replace(r#"{"object":"host/[a],\"]","action":"created"}, {"object":"port/blue/vm1","action":"unchanged"}"#, "")).expect("empty"), 7);
        for broken in [&REPORT[..90], &REPORT[..50], "{}", "", "oops [1]"] {
            read(broken).expect_err(broken);
        }
        read(&REPORT.replace("created", "eaten")).expect_err("no action");
    }
}
