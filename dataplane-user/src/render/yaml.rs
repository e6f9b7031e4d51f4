//! Documents as YAML that `apply` takes back.

use std::io::{self, Write};

use serde::Serialize;

use crate::policy::document::{ApiVersion, Document, Envelope, Metadata};

/// The members of a document in the order in which people write them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ordered<'a, S> {
    api_version: ApiVersion,
    kind: &'static str,
    metadata: &'a Metadata,
    spec: &'a S,
}

/// One document as YAML, with a line feed at its end.
pub fn document_yaml(document: &Document) -> io::Result<String> {
    match document {
        Document::ProviderNetwork(d) => ordered("ProviderNetwork", d),
        Document::Host(d) => ordered("Host", d),
        Document::VMNetwork(d) => ordered("VMNetwork", d),
        Document::Port(d) => ordered("Port", d),
        Document::LookupRecord(d) => ordered("LookupRecord", d),
        Document::CustomerRoute(d) => ordered("CustomerRoute", d),
    }
}

/// Documents as one YAML file.
pub fn documents_into<'a>(
    out: &mut impl Write,
    documents: impl IntoIterator<Item = &'a Document>,
) -> io::Result<()> {
    for (index, document) in documents.into_iter().enumerate() {
        if index > 0 {
            writeln!(out, "---")?;
        }
        out.write_all(document_yaml(document)?.as_bytes())?;
    }
    Ok(())
}

/// Any value as YAML, with a line feed at its end.
pub fn yaml_into(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    out.write_all(to_yaml(value)?.as_bytes())
}

fn ordered<S: Serialize>(kind: &'static str, envelope: &Envelope<S>) -> io::Result<String> {
    to_yaml(&Ordered {
        api_version: envelope.api_version,
        kind,
        metadata: &envelope.metadata,
        spec: &envelope.spec,
    })
}

fn to_yaml(value: &impl Serialize) -> io::Result<String> {
    let mut text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::testing;

    fn loaded(text: &str) -> Vec<Document> {
        let located = crate::policy::load("test.yaml", text).expect(text);
        located.into_iter().map(|l| l.document).collect()
    }

    #[test]
    fn a_file_of_all_kinds_comes_back() {
        let documents = testing::documents();
        let mut out = Vec::new();
        documents_into(&mut out, &documents).expect("written");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(loaded(&text), documents);
    }

    #[test]
    fn documents_come_back_as_they_were() {
        for document in testing::documents() {
            let text = document_yaml(&document).expect("serializable");
            assert_eq!(loaded(&text), [document], "{text}");
        }
    }

    #[test]
    fn every_field_comes_back() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/policy/good");
        for name in [
            "every-field",
            "external-router",
            "families",
            "isolation",
            "learned",
            "rewrite",
        ] {
            let text = std::fs::read_to_string(format!("{root}/{name}.yaml")).expect(name);
            for document in loaded(&text) {
                let text = document_yaml(&document).expect("serializable");
                assert_eq!(loaded(&text), [document], "{text}");
            }
        }
    }

    #[test]
    fn words_that_look_like_something_else_come_back() {
        for word in [
            "no", "6001", "1e3", "0x1f", "~", "", "a: b", "# c", "- d", "\"e", "f\ng", " h ",
        ] {
            let mut document = testing::host("host-a");
            if let Document::Host(host) = &mut document {
                host.metadata.labels.insert("k".into(), word.into());
            }
            let text = document_yaml(&document).expect("serializable");
            assert_eq!(loaded(&text), [document], "{text}");
        }
    }

    #[test]
    fn the_version_comes_first() {
        let text = document_yaml(&testing::host("host-a")).expect("serializable");
        assert!(
            text.starts_with("apiVersion: nve/v1\nkind: Host\n"),
            "{text}"
        );
    }
}
