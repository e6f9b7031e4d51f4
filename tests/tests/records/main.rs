//! The table of lookup records against the kernel's hash, while programs read it on another CPU.
//!
//! Every record that a program reads must be one that its key had, whole, and none older than the one
//! read before; a key that is never removed
//! must be found; and whenever the writer pauses, table and hash must say the same of every key. The
//! same scenes without the check of the control words must go wrong, or they would prove nothing.
//! `NVE_LOOKUPS` says how many look-ups there shall be, 10^8 for the full proof.

mod killed;
mod scene;

use std::{env, time::Duration};

use dataplane_bench::looks::{TABLE, UNCHECKED};
use scene::{CROWDED, GROWING, HOT, Tally};

/// Look-ups of each scene unless told otherwise.
const LOOKUPS: u64 = 4_000_000;

fn lookups() -> u64 {
    let wanted = env::var("NVE_LOOKUPS").ok();
    wanted.map_or(LOOKUPS, |n| n.parse::<u64>().expect("a number").div_ceil(3))
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_program_reads_a_record_that_never_was() {
    for scene in [HOT, CROWDED, GROWING] {
        let mut all = Tally::default();
        while all.looked() < lookups() {
            let left = lookups() - all.looked();
            let tally = scene.run(TABLE, left, None).expect("a scene");
            all.add(&tally);
            let wrong = (all.torn, all.missed, all.fallen);
            assert_eq!(wrong, (0, 0, 0), "{} {all:?}", scene.name);
        }
        println!("{}: {all:?}", scene.name);
        assert!(all.written > 10_000, "{} {all:?}", scene.name);
        assert!(all.found > all.busy, "{} {all:?}", scene.name);
        assert_eq!(all.moves > 0, scene.moves, "{} {all:?}", scene.name);
        assert_eq!(all.renewed > 0, scene.renews, "{} {all:?}", scene.name);
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn without_the_check_some_record_is_torn() {
    let most = Some(Duration::from_mins(1));
    let tally = HOT.run(UNCHECKED, u64::MAX, most).expect("a scene");
    println!("{tally:?}");
    assert!(tally.torn + tally.missed + tally.fallen > 0, "{tally:?}");
}
