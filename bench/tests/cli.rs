//! The verbs that need no root, by their exit codes and what they write.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use dataplane_bench::{
    noise::{Limits, Quiet},
    results::row::{Demands, FORMAT, MachineKind, Row, Run, Trial},
    scenario::{Comparison, Metric, PathName, Scenario},
};
use xtask::lab::TempDir;

const COMPARISON: Comparison = Comparison {
    scenario: Scenario::PLAIN,
    metric: Metric::PacketRate,
    ours: PathName::NveXdp,
    twin: PathName::TwinXdp,
};

fn run(kernel: &str) -> Row {
    Row::Run(Run {
        format: FORMAT,
        revision: "0123456789ab".to_owned(),
        dirty: false,
        kernel: kernel.to_owned(),
        machine: MachineKind::Host,
        cpu: "Some CPU".to_owned(),
        cores: 2,
        seed: 1,
        profile: "full".to_owned(),
        started: "2026-01-02T03:04:05Z".to_owned(),
        tools: BTreeMap::new(),
        demands: Demands {
            min_pairs: 3,
            tolerance: 0.05,
            limits: Limits {
                calibration: 0.1,
                steal: 0.1,
            },
        },
    })
}

/// Three pairs with this ratio.
fn trials(ratio: f64) -> impl Iterator<Item = Row> {
    (0..3).flat_map(move |pair| {
        let halves = [(0, COMPARISON.ours, ratio), (1, COMPARISON.twin, 1.0)];
        halves.map(move |(half, path, value)| {
            Row::Trial(Trial {
                comparison: COMPARISON,
                pair,
                half,
                path,
                value,
                details: BTreeMap::new(),
                quiet: Quiet::default(),
                discarded: None,
            })
        })
    })
}

struct Files(TempDir);

impl Files {
    fn write(&self, name: &str, kernel: &str, ratio: f64) -> PathBuf {
        let rows = std::iter::once(run(kernel)).chain(trials(ratio));
        let text: String = rows
            .map(|row| serde_json::to_string(&row).expect("JSON") + "\n")
            .collect();
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

fn bench(verb: &str, words: &[&PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.arg(verb).args(words).output().expect("bench runs")
}

#[test]
fn compare_answers_by_its_exit_code() {
    let files = Files(TempDir::new("compare").expect("a folder"));
    let (good, bad) = (
        files.write("good", "6.18", 0.8),
        files.write("bad", "6.18", 0.6),
    );
    let other = files.write("other", "6.12", 0.8);
    let missing = PathBuf::from("/no/such/file");
    for (before, after, code) in [
        (&good, &good, 0),
        (&bad, &good, 0),
        (&good, &bad, 1),
        (&good, &other, 2),
        (&good, &missing, 2),
    ] {
        let output = bench("compare", &[before, after]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    let usage = bench("compare", &[&good]);
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_report_has_its_tables_and_tells_of_a_cut_off_end() {
    let files = Files(TempDir::new("report").expect("a folder"));
    let file = files.write("rows", "6.18", 0.8);
    let text = fs::read_to_string(&file).expect("rows");
    fs::write(&file, &text[..text.len() - 9]).expect("a file");
    let output = bench("report", &[&file]);
    assert!(output.status.success(), "{output:?}");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        out.contains("inconclusive (0.80): too few pairs count (2 of at least 3)"),
        "{out}"
    );
    assert!(err.contains(":7: the last row is cut off"), "{err}");
}

#[test]
fn plots_are_shown_relative_to_the_tables() {
    let files = Files(TempDir::new("plots").expect("a folder"));
    let file = files.write("rows", "6.18", 0.8);
    let folder = files.0.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command
        .arg("report")
        .arg(&file)
        .arg("--plots")
        .arg(folder.join("plots"));
    let output = command
        .arg("--markdown")
        .arg(folder.join("README.md"))
        .output();
    assert!(output.expect("bench runs").status.success());
    let text = fs::read_to_string(folder.join("README.md")).expect("tables");
    assert!(text.contains("![records](plots/records.svg)"), "{text}");
    assert!(folder.join("plots/records.svg").exists());
}
