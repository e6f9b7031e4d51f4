use super::*;

#[test]
fn tenants_are_counted_apart() {
    let counts = Counts::default();
    for _ in 0..99 {
        counts.punted(1, Punt::Miss);
        counts.reinjected(1, Duration::from_micros(100));
    }
    counts.punted(1, Punt::Oversize);
    counts.reinjected(1, Duration::from_millis(1));
    counts.punted(2, Punt::Miss);
    counts.dropped((Some(2), 7), DropReason::HoldFull, 60);
    counts.answered(2);
    let all = counts.upcalls();
    let (one, two) = (&all[&1], &all[&2]);
    assert_eq!(
        (one.punts[&Punt::Miss], one.punts[&Punt::Oversize]),
        (99, 1)
    );
    assert_eq!((one.reinjected, one.answered), (100, 0));
    assert!(one.drops.is_empty());
    let latency = one.latency.expect("some were given back");
    assert!((95..=105).contains(&latency.p50), "{latency:?}");
    assert!((95..=105).contains(&latency.p99), "{latency:?}");
    assert_eq!(two.drops[&DropReason::HoldFull], 1);
    assert_eq!((two.answered, two.latency), (1, None));
}

#[test]
fn a_slow_packet_in_fifty_shows_in_the_99th_percentile() {
    let counts = Counts::default();
    for packet in 0..100 {
        let micros = if packet % 50 == 0 { 20_000_000 } else { 100 };
        counts.reinjected(1, Duration::from_micros(micros));
    }
    let latency = counts.upcalls()[&1].latency.expect("some");
    assert!(latency.p50 < 200, "{latency:?}");
    assert!(latency.p99.abs_diff(LONGEST) < LONGEST / 50, "{latency:?}");
}

#[test]
fn what_tells_of_paths_is_no_tenants() {
    let counts = Counts::default();
    counts.punted(UNDERLAY, Punt::PathMtu);
    counts.consumed(UNDERLAY);
    counts.punted(UNDERLAY, Punt::PathMtu);
    counts.dropped((Some(UNDERLAY), 0), DropReason::PaMismatch, 60);
    counts.punted(1, Punt::Neighbour);
    counts.consumed(1);
    assert_eq!(counts.upcalls().into_keys().collect::<Vec<_>>(), [1]);
    assert_eq!(
        (counts.upcalls()[&1].consumed, counts.all_consumed()),
        (1, 2)
    );
    // No routing domain ends with it.
    counts.keep(|_| false);
    let paths = counts.paths();
    assert_eq!((paths.punts[&Punt::PathMtu], paths.consumed), (2, 1));
    assert_eq!(paths.drops[&DropReason::PaMismatch], 1);
}

#[test]
fn who_gets_a_number_again_starts_at_zero() {
    let counts = Counts::default();
    counts.dropped((Some(1), 7), DropReason::HoldFull, 60);
    counts.dropped((Some(1), 8), DropReason::HoldFull, 60);
    counts.dropped((None, 0), DropReason::PortUnknown, 60);
    counts.clear(7);
    assert_eq!(counts.drops(7), []);
    let one = Count {
        packets: 1,
        bytes: 60,
    };
    assert_eq!(counts.drops(8), [(DropReason::HoldFull, one)]);
    assert_eq!(counts.drops(0), [(DropReason::PortUnknown, one)]);
    counts.punted(2, Punt::Miss);
    counts.keep(|tenant| tenant == 2);
    assert_eq!(counts.upcalls().into_keys().collect::<Vec<_>>(), [2]);
}
