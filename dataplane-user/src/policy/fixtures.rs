//! Good and bad policies of `tests/fixtures/policy`, and the samples in the manual.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use super::{Diagnostic, check};

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/policy");
    let entries = fs::read_dir(root.join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml" || e == "json"));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn shown(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .fold(String::new(), |mut text, diagnostic| {
            writeln!(text, "{diagnostic}").unwrap();
            text
        })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn good_policies_are_valid() {
    for path in files("good") {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(faults) = check(&name(&path), &text) {
            panic!("{}", shown(&faults));
        }
    }
}

/// `UPDATE_FIXTURES=1` writes what is expected from what is said; read the diff.
#[test]
fn bad_policies_are_refused_with_these_words() {
    for path in files("bad") {
        let text = fs::read_to_string(&path).unwrap();
        let Err(faults) = check(&name(&path), &text) else {
            panic!("{} is taken for valid", path.display());
        };
        let said = shown(&faults);
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said, expected, "{}", path.display());
        for fault in faults {
            assert!(fault.line > 0, "{fault}");
            assert!(fault.excerpt(&text).contains('^'), "{fault}");
        }
    }
}

/// The samples of a page are one policy.
fn samples(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = fs::read_to_string(path.join(page)).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let samples: Vec<&str> = blocks.filter_map(|s| s.split("```").next()).collect();
    assert!(samples.len() >= 5, "{page}");
    samples.join("---\n")
}

#[test]
fn samples_of_the_manual_are_valid() {
    for page in ["policy.md", "forwarding.md"] {
        if let Err(faults) = check(page, &samples(page)) {
            panic!("{}", shown(&faults));
        }
    }
}
