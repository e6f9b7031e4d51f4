use clap::Parser;
use dataplane_common::abi::lookup::LookupEntry;

use super::*;

#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    flags: SlowPathFlags,
}

fn limits(args: &[&str]) -> Result<Limits, SettingsError> {
    let args = std::iter::once(&"nved").chain(args);
    Alone::try_parse_from(args).expect("flags").flags.limits()
}

#[test]
fn what_help_tells_are_the_defaults() {
    let mut help = <Alone as clap::CommandFactory>::command();
    let help = help.render_long_help().to_string();
    let shown: Vec<&str> = help.lines().filter(|l| l.contains("[default: ")).collect();
    let defaults = shown.iter().filter_map(|line| {
        let (_, default) = line.split_once("[default: ")?;
        default.trim_end_matches(']').parse::<u64>().ok()
    });
    let d = Limits::DEFAULT;
    let ms = |time: Duration| u64::try_from(time.as_millis()).expect("short");
    let limits = [
        d.punt_rate.into(),
        d.punt_burst.into(),
        d.hold.destination as u64,
        d.hold.tenant as u64,
        d.hold.all as u64,
        ms(d.hold.time),
        d.budget.all.into(),
        ms(d.budget.saving),
        d.lives.idle.as_secs(),
        d.lives.negative.as_secs(),
        d.lives.negatives as u64,
    ];
    assert_eq!(defaults.collect::<Vec<_>>(), limits, "{help}");
    assert_eq!(self::limits(&[]).expect("no flag, no fault"), d);
}

#[test]
fn each_limit_can_be_set() {
    let set = limits(&[
        "--punt-rate=11",
        "--punt-burst=12",
        "--zero-copy=true",
        "--hold-per-destination=13",
        "--hold-per-tenant=14",
        "--hold-in-all=15",
        "--hold-milliseconds=16",
        "--budget-rate=17",
        "--budget-saving-milliseconds=18",
        "--idle-seconds=19",
        "--negative-seconds=4",
        "--negative-per-tenant=21",
    ]);
    let wanted = Limits {
        punt_rate: 11,
        punt_burst: 12,
        zero_copy: true,
        hold: hold::Limits {
            destination: 13,
            tenant: 14,
            all: 15,
            time: Duration::from_millis(16),
        },
        budget: budget::Rates {
            all: 17,
            saving: Duration::from_millis(18),
        },
        lives: Lives {
            idle: Duration::from_secs(19),
            negative: Duration::from_secs(4),
            negatives: 21,
        },
    };
    assert_eq!(set.expect("valid"), wanted);
}

#[test]
fn what_cannot_be_is_named_with_what_can() {
    let told = |args: &[&str]| limits(args).expect_err("refused").to_string();
    assert_eq!(
        told(&["--negative-seconds=6"]),
        "negative-seconds 6 is out of range; 1..=5 is valid"
    );
    for flag in [
        "--punt-rate=0",
        "--punt-burst=0",
        "--hold-per-destination=0",
        "--hold-per-tenant=0",
        "--hold-in-all=70000",
        "--hold-milliseconds=0",
        "--budget-rate=0",
        "--budget-saving-milliseconds=0",
        "--idle-seconds=0",
        "--idle-seconds=36001",
        "--negative-seconds=0",
        "--negative-per-tenant=0",
    ] {
        let key = flag[2..].split('=').next().expect("a name");
        assert!(told(&[flag]).starts_with(key), "{}", told(&[flag]));
    }
    assert_eq!(
        told(&["--hold-in-all=100"]),
        "hold-per-tenant 1024 is more than hold-in-all 100, so it would have no effect; \
         lower hold-per-tenant or raise hold-in-all"
    );
}

/// Stamps of 16 bits tell ages below 70,350 s, and looks may come nine hours late.
#[test]
fn the_longest_idle_time_is_one_that_stamps_can_tell() {
    let longest = limits(&["--idle-seconds=36000"])
        .expect("limits")
        .lives
        .idle;
    assert_eq!(longest, Duration::from_hours(10));
    let around = Duration::from_nanos(1 << (16 + LookupEntry::SECOND_SHIFT));
    assert!(longest + Duration::from_hours(9) < around, "{around:?}");
}
