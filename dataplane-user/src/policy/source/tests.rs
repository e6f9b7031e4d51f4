use super::*;

const HOST: &str = r#"{"apiVersion": "nve/v1", "kind": "Host", "metadata": {"name": "a"}, "spec": {"providerAddresses": [{"address": "192.0.2.1"}]}}"#;

fn ndjson(text: &str) -> Vec<Result<Located, String>> {
    let read = read_ndjson("p.ndjson", text.as_bytes());
    read.map(|r| r.map_err(|faults| faults[0].to_string()))
        .collect()
}

#[test]
fn yaml_documents_have_positions() {
    let text = "# none\n---\n---\napiVersion: nve/v1\nkind: Host\nmetadata: {name: a}\nspec:\n  providerAddresses:\n  - address: 192.0.2.1\n";
    let documents = load("p.yaml", text).unwrap();
    assert_eq!(documents.len(), 1);
    let positions = &documents[0].positions;
    assert_eq!(positions.find("spec.providerAddresses[0].address"), (9, 14));
    assert_eq!(
        positions.find("spec.providerAddresses[0].interface"),
        (9, 5)
    );
    assert_eq!(positions.find("metadata.name"), (6, 18));
    assert_eq!(positions.find(""), (4, 1));
}

#[test]
fn json_and_nothing_are_fine() {
    assert_eq!(load("p.json", HOST).unwrap().len(), 1);
    assert_eq!(load("p.yaml", "").unwrap().len(), 0);
    assert_eq!(load("p.yaml", "---\n# only words\n").unwrap().len(), 0);
}

#[test]
fn every_truncation_is_valid_or_refused_with_a_place() {
    let text = include_str!("../../../../tests/fixtures/policy/good/every-field.yaml");
    for end in 0..text.len() {
        if let Err(faults) = load("p.yaml", &text[..end]) {
            assert!(
                faults.iter().all(|fault| fault.line > 0),
                "{end}: {faults:?}"
            );
        }
    }
}

#[test]
fn an_overlarge_file_is_refused() {
    let text = " ".repeat(MAX_BYTES + 1);
    let faults = load("p.yaml", &text).unwrap_err();
    assert!(faults[0].to_string().contains("keep below 64 MiB"));
}

#[test]
fn too_many_values_are_refused() {
    let text = format!("a: [{}]", "1,".repeat(MAX_NODES + 5));
    let faults = load("p.yaml", &text).unwrap_err();
    assert!(
        faults
            .iter()
            .any(|f| f.message == "the document has too many values")
    );
}

#[test]
fn ndjson_goes_line_by_line() {
    let read = ndjson(&format!("{HOST}\n\n{{\n{HOST}\n"));
    assert_eq!(read[0].as_ref().unwrap().index, 0);
    let error = read[1].as_ref().unwrap_err();
    assert!(error.starts_with("p.ndjson:3:"), "{error}");
    let last = read[2].as_ref().unwrap();
    assert_eq!((last.index, last.positions.find("spec")), (1, (4, 0)));
}

#[test]
fn ndjson_refuses_duplicates_yaml_and_long_lines() {
    let twice = HOST.replace("\"kind\"", "\"kind\": \"Host\", \"kind\"");
    assert!(
        ndjson(&twice)[0]
            .as_ref()
            .unwrap_err()
            .contains("`kind` stands twice")
    );
    assert!(ndjson("kind: Host").first().unwrap().is_err());
    let long = format!("{}\n{HOST}\n", " ".repeat(2 * 1024 * 1024));
    let read = ndjson(&long);
    assert_eq!(read.len(), 1);
    assert!(read[0].as_ref().unwrap_err().contains("longer than"));
}
