//! Who looks for packets with half an update sees them where there are some, and whole records elsewhere.

use dataplane_bench::{
    figures::half_updates::{Watch, watch},
    paths::nve::States,
    programs::Hook,
};

const PACKETS: u64 = 100_000;

fn seen(hook: Hook, states: States) -> dataplane_bench::sink::Seen {
    let what = Watch {
        hook,
        records: 16,
        states,
        packets: PACKETS,
    };
    watch(&what).expect("packets")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn packets_show_one_of_two_records_as_a_whole() {
    for hook in [Hook::Xdp, Hook::Tc] {
        let seen = seen(hook, States::Whole);
        assert_eq!(seen.mixed, 0, "{hook:?}: {seen:?}");
        assert!(seen.total() >= PACKETS, "{hook:?}: {seen:?}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_mixed_record_is_seen() {
    let seen = seen(Hook::Xdp, States::Mixed);
    assert!(seen.mixed > 0, "{seen:?}");
}
