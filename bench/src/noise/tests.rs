//! Rules of noise on made-up halves.

use super::*;

const LIMITS: Limits = Limits {
    calibration: 0.10,
    steal: 0.02,
};

fn quiet(before: u64, after: u64, steal: f64) -> Quiet {
    Quiet {
        calibration_before: before,
        calibration_after: after,
        steal,
        ..Quiet::default()
    }
}

#[test]
fn a_calm_pair_counts() {
    assert_eq!(
        LIMITS.exceeded(&[quiet(100, 105, 0.0), quiet(101, 109, 0.02)]),
        None
    );
}

#[test]
fn a_calibration_that_moved_between_the_halves_discards_both() {
    let why = LIMITS.exceeded(&[quiet(100, 100, 0.0), quiet(120, 121, 0.0)]);
    assert_eq!(
        why.as_deref(),
        Some("calibration moved by 21 % (limit 10 %)")
    );
}

#[test]
fn steal_in_either_half_discards_both() {
    let why = LIMITS.exceeded(&[quiet(100, 100, 0.0), quiet(100, 100, 0.05)]);
    assert_eq!(
        why.as_deref(),
        Some("5.0 % of the CPU time was stolen (limit 2 %)")
    );
}

#[test]
fn steal_is_a_share_of_all_time() {
    let at = |stat| Counters {
        ticks: ticks(stat).expect("a line"),
        switches: 0,
        run_delay: 0,
    };
    let before = at("cpu  10 0 10 100 0 0 0 5 0 0\ncpu0 1 2 3");
    let after = at("cpu  20 0 20 170 0 0 0 15 0 0\ncpu0 1 2 3");
    assert!((after.steal_since(&before) - 0.10).abs() < 1e-12);
}

#[test]
fn the_kernel_has_what_is_read() {
    let text = "Name:\tx\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n";
    assert_eq!(switches(text), Some(7));
    assert_eq!(Counters::read().expect("proc").ticks.len(), 8);
}

#[test]
fn a_half_has_its_figure_and_its_calibrations() {
    struct Fake;
    impl Subject for Fake {
        fn measure(&mut self, _: Duration) -> Result<Measured> {
            Ok(Measured {
                value: 5.0,
                ..Measured::default()
            })
        }
    }
    let mut machine = Machine { rounds: 1000 };
    let (measured, quiet) = machine.half(&mut Fake, Duration::ZERO).expect("measured");
    assert!((measured.value - 5.0).abs() < 1e-12);
    assert!(quiet.calibration_before > 0 && quiet.calibration_after > 0);
}
