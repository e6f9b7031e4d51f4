//! Goals of small made-up files.

use super::*;
use crate::{
    profile,
    results::{row::Row, sample},
};

fn estimate(low: f64, high: f64) -> Estimate {
    Estimate {
        median: f64::midpoint(low, high),
        low,
        high,
    }
}

#[test]
fn an_interval_is_on_one_side_or_in_doubt() {
    let of = |wanted: Wanted, low, high| wanted.judge(None, estimate(low, high));
    assert_eq!(of(Wanted::AtLeast(0.9), 0.9, 1.0), Judgement::Met(false));
    assert_eq!(of(Wanted::AtLeast(0.9), 0.7, 0.89), Judgement::NotMet);
    let doubt = of(Wanted::AtLeast(0.9), 0.89, 0.91);
    assert!(matches!(doubt, Judgement::Inconclusive(_)), "{doubt:?}");
    assert_eq!(of(Wanted::AtMost(3.0), 1.0, 3.0), Judgement::Met(false));
    assert_eq!(of(Wanted::AtMost(3.0), 3.1, 9.0), Judgement::NotMet);
    assert_eq!(of(Wanted::AtMost(0.0), 0.0, 0.0), Judgement::Met(false));
    assert_eq!(of(Wanted::Told, 1.0, 2.0), Judgement::Told);
}

#[test]
fn the_stretch_is_judged_by_the_whole_interval() {
    let of = |low, high| Wanted::AtMost(60.0).judge(Some(50.0), estimate(low, high));
    assert_eq!(of(40.0, 50.0), Judgement::Met(true));
    assert_eq!(of(40.0, 51.0), Judgement::Met(false));
}

#[test]
fn the_full_profile_has_every_comparison_of_a_goal() {
    let full = profile::find("full").expect("full");
    for goal in goals() {
        let Reads::Comparison(machine, comparison) = goal.reads else {
            continue;
        };
        let all = full.comparisons(machine);
        assert!(all.contains(&comparison), "{machine} lacks {comparison:?}");
    }
}

#[test]
fn no_two_goals_read_one_row_for_the_same() {
    let all = goals();
    for (index, goal) in all.iter().enumerate() {
        let same = |other: &Goal| (other.metric, &other.reads) == (goal.metric, &goal.reads);
        assert!(!all[..index].iter().any(same), "{goal:?}");
    }
}

fn found<'j>(all: &'j [Judged], metric: &str, row: &str) -> &'j Judged {
    let found = all
        .iter()
        .find(|judged| judged.goal.metric.starts_with(metric) && judged.row.contains(row));
    found.unwrap_or_else(|| panic!("no {metric} of {row}"))
}

#[test]
fn goals_of_a_small_file() {
    let mut rows = sample::rows();
    for (records, trials) in [(1 << 20, vec![6e6, 7e6, 8e6]), (1 << 23, vec![1e6; 3])] {
        rows.push(Row::Figure(Figure {
            trials,
            ..Figure::new("load-rate", crate::figures::Unit::RecordsPerSecond)
                .with("from", "compiled image")
                .with("records", records)
        }));
    }
    let all = judge(&sample::of(&rows));
    let twin = found(&all, "encap + decap", "1k records");
    assert_eq!(twin.measured.as_deref(), Some("0.80 (0.79 to 0.81)"));
    assert_eq!(twin.judgement, Judgement::NotMet);
    let vxlan = found(&all, "delivered", "nve-xdp / vxlan-bridge");
    assert_eq!(vxlan.judgement, Judgement::Met(false));
    let rate = found(
        &all,
        "records per second",
        "from compiled image, records 1048576",
    );
    assert_eq!(rate.judgement, Judgement::Met(false));
    let told = "7,000,000 records/s (6,000,000 to 8,000,000, 3 trials)";
    assert_eq!(rate.measured.as_deref(), Some(told));
    let rate = found(
        &all,
        "records per second",
        "from compiled image, records 8388608",
    );
    assert_eq!(rate.judgement, Judgement::NotMet);
    let none = found(&all, "encap + decap", "8M records");
    assert_eq!(
        none.judgement,
        Judgement::Absent("no row has it".to_owned())
    );
}

#[test]
fn the_table_has_a_line_for_each_goal_and_counts_them() {
    let results = sample::results();
    let table = table(&results);
    for part in [
        "| encap + decap, share of the do-nothing twin | nve-xdp / twin-xdp, encap + decap, 60 B, 1k records, uniform, to XDP | ≥ 0.9 | 0.80 (0.79 to 0.81) | not met |",
        "| ≤ 60 (stretch 50) | - | absent: no row has it |",
        "| ≤ 80,000,000 (stretch 60,000,000) |",
        "Goals: 1 met, 1 not met, 0 inconclusive, ",
    ] {
        assert!(table.contains(part), "{part:?} is not in {table}");
    }
    let lines = table.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(lines, goals().len() + 1);
}
