use proptest::prelude::*;

use super::*;
use crate::policy::{document::Document, records::Batch, source::read_ndjson};

const LINE: &str = r#"{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{"vmNetwork":"blue"},"spec":{"virtualSubnetId":6001,"customerAddress":"10.1.0.7","macAddress":"02:00:0a:01:00:07","providerAddress":"192.0.2.2"}}"#;

/// The document of a line, by the reader that knows everything.
fn document(line: &str) -> Option<Document> {
    let mut lines = read_ndjson("x", line.as_bytes());
    let first = lines.next()?.ok()?;
    lines.next().is_none().then_some(first.document)
}

/// The document of a line by the short way.
fn short(line: &str) -> Option<Document> {
    let (line, _) = record_line(line.as_bytes())?;
    let mut batch = Batch::default();
    batch.push_line(&line);
    batch.get(0).map(|record| record.document())
}

#[test]
fn an_ordinary_line_is_read_as_its_document() {
    let line = format!("{LINE}\n");
    assert_eq!(short(&line), document(&line));
    assert!(short(&line).is_some());
    assert_eq!(
        record_line(line.as_bytes()).map(|(_, length)| length),
        Some(line.len())
    );
    let two = format!("{line}{line}");
    assert_eq!(
        record_line(two.as_bytes()).map(|(_, length)| length),
        Some(line.len())
    );
    for end in 0..line.len() {
        assert_eq!(record_line(&line.as_bytes()[..end]), None, "{end}");
    }
    let more = line.replace(
        "192.0.2.2\"",
        "192.0.2.2\", \"rule\" : \"TranslationMethodNat\",\"useVmMACAddress\":true,\"type\":\"Dynamic\",\"vmName\":\"a b\"",
    );
    assert_eq!(short(&more), document(&more));
    assert!(short(&more).is_some());
    let turned = format!(
        "{{\"spec\":{},\"kind\":\"LookupRecord\", \"metadata\":{{\"vmNetwork\":\"blue\"}},\"apiVersion\":\"nve/v1\"}}\r\n",
        &LINE[LINE.find("spec").expect("a spec") + 6..LINE.len() - 1]
    );
    assert_eq!(short(&turned), document(&turned));
    assert!(short(&turned).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    /// Whatever happens to a line, what is read of it is what the other reader reads.
    #[test]
    fn what_is_read_is_right(
        edits in prop::collection::vec((0_usize..260, 0_usize..12, "[ -~]{0,3}|\"|\\\\|,|:|\\{|\\}|[0-9]|é|\u{1}"), 1..4)
    ) {
        let mut line = LINE.to_owned();
        for (at, length, text) in edits {
            let start = (0..=at.min(line.len())).rev().find(|at| line.is_char_boundary(*at));
            let start = start.unwrap_or(0);
            let end = (start + length).min(line.len());
            let end = (end..=line.len()).find(|at| line.is_char_boundary(*at));
            line.replace_range(start..end.unwrap_or(start), &text);
        }
        line.push('\n');
        if let Some(read) = short(&line) {
            prop_assert_eq!(Some(read), document(&line), "{}", line);
        }
    }
}
