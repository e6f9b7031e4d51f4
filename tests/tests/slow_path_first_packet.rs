//! The first packet to a destination whose record is not in the kernel's table: it arrives, once.

use dataplane_bench::figures::first_packet::{FirstPackets, Leg};

/// New destinations unless `NVE_FIRST_PACKETS` says otherwise.
const DESTINATIONS: u32 = 5_000;
/// A second; a port's bucket has 2,000.
const PACE: u32 = 1_000;

fn told(leg: &Leg) -> String {
    let micros = |quantile| leg.times.value_at_quantile(quantile) / 1_000;
    let (p50, p99) = (micros(0.5), micros(0.99));
    let (lost, twice) = (leg.lost, leg.twice);
    format!("p50 {p50} us, p99 {p99} us, {lost} lost, {twice} twice")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_first_packet_is_lost_and_none_comes_twice() {
    let wanted = std::env::var("NVE_FIRST_PACKETS").ok();
    let destinations = wanted.map_or(DESTINATIONS, |number| {
        number.parse().expect("NVE_FIRST_PACKETS is a number")
    });
    let done = FirstPackets::of(destinations, PACE).expect("packets are sent");
    println!("{destinations} destinations, one way to the underlay");
    println!("without a record: {}", told(&done.absent));
    println!("with its record:  {}", told(&done.present));
    let FirstPackets {
        absent,
        present,
        punted,
        reinjected,
        drops,
    } = &done;
    for leg in [absent, present] {
        assert_eq!((leg.lost, leg.twice), (0, 0), "{drops:?}");
        assert_eq!(leg.times.len(), u64::from(destinations));
    }
    // Each first packet was one without a record, and no second one was.
    let all = u64::from(destinations);
    assert_eq!((*punted, *reinjected), (all, all), "{drops:?}");
    assert!(drops.is_empty(), "{drops:?}");
}
