//! Two made-up files.

use super::*;
use crate::{
    results::{
        row::{MachineKind, Row},
        sample::{self, against},
    },
    scenario::{Metric, PathName},
};

fn file(metric: Metric, ratios: &[f64]) -> Results {
    let comparison = crate::scenario::Comparison {
        metric,
        ..against(PathName::NveXdp, PathName::TwinXdp)
    };
    let mut rows = sample::rows()[..1].to_vec();
    rows.extend(sample::trials(comparison, 100.0, ratios));
    sample::of(&rows)
}

fn rates(ratios: &[f64]) -> Results {
    file(Metric::PacketRate, ratios)
}

#[test]
fn intervals_that_overlap_show_no_difference() {
    let both = compare(
        &rates(&[0.80, 0.79, 0.81, 1.0]),
        &rates(&[0.80, 0.78, 0.79, 1.0]),
    )
    .expect("comparable");
    assert_eq!(both.worse, 0);
    assert!(
        both.text
            .contains("no difference shown: 0.80 to 0.79, -1.2 %"),
        "{}",
        both.text
    );
}

#[test]
fn a_change_within_the_tolerance_is_none_however_narrow_the_intervals() {
    let of = |ratio: f64| rates(&[ratio, ratio, ratio, 1.0]);
    let both = compare(&of(0.80), &of(0.77)).expect("comparable");
    assert_eq!(both.worse, 0, "{}", both.text);
    let both = compare(&of(0.80), &of(0.75)).expect("comparable");
    assert_eq!(both.worse, 1, "{}", both.text);
}

#[test]
fn a_lower_rate_and_a_longer_round_trip_are_worse() {
    let both = compare(
        &rates(&[0.80, 0.79, 0.81, 1.0]),
        &rates(&[0.60, 0.61, 0.59, 1.0]),
    )
    .expect("comparable");
    assert_eq!(both.worse, 1, "{}", both.text);
    let trip = |ratios| file(Metric::RoundTripP50, ratios);
    let (short, long) = (trip(&[1.0, 1.0, 1.0, 1.0]), trip(&[1.5, 1.5, 1.5, 1.0]));
    let slower = compare(&short, &long).expect("comparable");
    assert!(
        slower.text.contains("WORSE: +0.0 µs to +50.0 µs, +50.0 µs"),
        "{}",
        slower.text
    );
    let faster = compare(&long, &short).expect("comparable");
    assert_eq!(faster.worse, 0);
    assert!(faster.text.contains(": better: "), "{}", faster.text);
}

#[test]
fn what_is_inconclusive_is_told_and_not_judged() {
    let noisy = rates(&[0.1, 0.9, 0.5, 0.2, 1.0]);
    let both = compare(&rates(&[0.80, 0.79, 0.81, 1.0]), &noisy).expect("comparable");
    assert_eq!(both.worse, 0);
    assert!(
        both.text.contains("not compared: inconclusive"),
        "{}",
        both.text
    );
}

#[test]
fn other_kernels_and_machine_kinds_are_refused() {
    let mut other = rates(&[0.8, 0.8, 0.8, 1.0]);
    other.runs[0].run = sample::run(12, MachineKind::Guest);
    let error = compare(&rates(&[0.8, 0.8, 0.8, 1.0]), &other).expect_err("nothing in common");
    let told = "the first file is of kernel 6.18 (host, profile full), the second of kernel 6.12 (guest, profile full)";
    assert!(error.to_string().contains(told), "{error}");
}

#[test]
fn figures_are_compared_on_the_same_machine_only() {
    let with = |cpu: &str, trials: &[f64]| {
        let mut results = sample::results();
        results.runs[0].run.cpu = cpu.to_owned();
        for row in &mut results.runs[0].rows {
            if let Row::Figure(figure) = row {
                figure.trials = trials.to_vec();
            }
        }
        results
    };
    let (fast, slow) = (with("A", &[2e6; 5]), with("A", &[1e6; 5]));
    assert_eq!(compare(&fast, &slow).expect("comparable").worse, 1);
    assert_eq!(compare(&slow, &fast).expect("comparable").worse, 0);
    let few = compare(&fast, &with("A", &[1e6; 4])).expect("comparable");
    assert_eq!(few.worse, 0);
    assert!(few.text.contains("fewer than 5 trials"), "{}", few.text);
    let elsewhere = compare(&fast, &with("B", &[1e6; 5])).expect("comparable");
    assert_eq!(elsewhere.worse, 0);
    assert!(
        elsewhere
            .text
            .contains("figures: not compared: measured on A, 2 CPUs and on B"),
        "{}",
        elsewhere.text
    );
}

#[test]
fn rows_of_one_file_alone_are_told() {
    let both = compare(&sample::results(), &rates(&[0.8, 0.8, 0.8, 1.0])).expect("comparable");
    assert!(
        both.text.contains("only in the first file"),
        "{}",
        both.text
    );
}
