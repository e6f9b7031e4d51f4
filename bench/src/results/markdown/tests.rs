//! The report of a small made-up file.

use super::*;
use crate::results::sample;

#[test]
fn clear_doubtful_and_missing_rows_are_all_there() {
    let report = report(&sample::results());
    for part in [
        "## Kernel 6.18, host",
        "Some CPU, 2 CPUs; revision 0123456789ab, ovs 3.1.0; profile full, seed 1",
        "moved by more than 10 %",
        "more than ±5 %",
        "| encap + decap, 60 B, 1k records, uniform, to XDP | nve-xdp / twin-xdp | **0.80** | 0.79 to 0.81 | 3 of 4 | 1.60 Mpps | 2.00 Mpps |",
        "| inconclusive (4.50): the interval is",
        "| not available: gretap-bridge: this kernel has no gretap | - |",
        "| TCP, 1 stream, 1k records, uniform | nve-tc / veth | **0.90** |",
        "| round trip, p50, 1k records, uniform | nve-tc / veth | **+2.5 µs** | +2.5 to +2.5 | 3 of 4 | 27.5 µs | 25.0 µs |",
        "| records loaded | records 1M | **2,000,000** records/s | 1,900,000 to 2,100,000 | 3 |",
    ] {
        assert!(report.contains(part), "{part:?} is not in {report}");
    }
}

#[test]
fn a_comparison_that_no_question_asks_for_is_among_the_others() {
    let mut odd = sample::against(
        crate::scenario::PathName::NveXdp,
        crate::scenario::PathName::TwinXdp,
    );
    odd.scenario.queues = 2;
    odd.scenario.frame = 1514;
    let mut rows = sample::rows()[..1].to_vec();
    rows.extend(sample::trials(odd, 1e6, &[0.5, 0.5, 0.5, 0.5]));
    let report = report(&sample::of(&rows));
    let (_, others) = report.split_once("### Others").expect("others");
    assert!(
        others.contains("1514 B, 1k records, uniform, 2 queues"),
        "{others}"
    );
}

#[test]
fn a_reason_stays_within_its_cell() {
    assert_eq!(cell("a | b\n  c"), "a \\| b c");
}
