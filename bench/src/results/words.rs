//! The words of tables and plots.

use std::fmt::Write as _;

use crate::{
    compared::Compared,
    paths::room,
    scenario::{Comparison, Keys, Metric, PathName, Refusal, Scenario, Sink, Work},
    stats::Estimate,
};

/// What happens to the packets.
pub fn work(work: Work) -> &'static str {
    match work {
        Work::Encap => "encap",
        Work::Decap => "decap",
        Work::EncapDecap => "encap + decap",
        Work::RewriteOut => "rewrite out",
        Work::RewriteIn => "rewrite in",
        Work::RewriteOutIn => "rewrite out + in",
        Work::SameHost => "same host",
        Work::Drop(Refusal::SpoofMac) => "drop SPOOF_MAC",
        Work::Drop(Refusal::SpoofCa) => "drop SPOOF_CA",
        Work::Drop(Refusal::NoLookupRecord) => "drop NO_LOOKUP_RECORD",
    }
}

/// Which records are asked for.
pub fn keys(keys: Keys) -> &'static str {
    match keys {
        Keys::OneHot => "1 hot",
        Keys::ThousandHot => "1k hot",
        Keys::Zipf => "Zipf 1.0",
        Keys::Uniform => "uniform",
    }
}

/// A count of records, `64k` for 65,536; plain where it is no such power.
pub fn count(count: u32) -> String {
    match count {
        0 => "0".to_owned(),
        n if n % (1 << 20) == 0 => format!("{}M", n >> 20),
        n if n % (1 << 10) == 0 => format!("{}k", n >> 10),
        n if n % 1_000_000 == 0 => format!("{}M", n / 1_000_000),
        n if n % 1000 == 0 => format!("{}k", n / 1000),
        n => n.to_string(),
    }
}

/// What is read at the end of a path.
pub fn metric(metric: Metric) -> String {
    match metric {
        Metric::PacketRate => "packet rate".to_owned(),
        Metric::TcpBulk(1) => "TCP, 1 stream".to_owned(),
        Metric::TcpBulk(streams) => format!("TCP, {streams} streams"),
        Metric::RoundTripP50 => "round trip, p50".to_owned(),
        Metric::RoundTripP99 => "round trip, p99".to_owned(),
    }
}

/// The conditions of a comparison; what makes no difference to its metric is left out.
pub fn conditions(comparison: &Comparison) -> String {
    let Comparison {
        scenario,
        metric: read,
        ..
    } = comparison;
    if !matches!(read, Metric::PacketRate) {
        return with_records(&metric(*read), scenario);
    }
    let mut words = with_records(
        &format!("{}, {} B", work(scenario.work), scenario.frame),
        scenario,
    );
    let asked = room::asked(scenario);
    if scenario.work.rewrites() && asked < room::keys(scenario.records) {
        let _ = write!(words, " over the {asked} that have a PA");
    }
    if scenario.queues != 1 {
        let _ = write!(words, ", {} queues", scenario.queues);
    }
    if scenario.updates_per_second != 0 {
        let _ = write!(words, ", {} updates/s", count(scenario.updates_per_second));
    }
    match scenario.sink {
        Sink::Frame => words += ", to XDP",
        Sink::Skb => words += ", to the stack",
    }
    words
}

fn with_records(words: &str, scenario: &Scenario) -> String {
    format!(
        "{words}, {} records, {}",
        count(scenario.records),
        keys(scenario.keys)
    )
}

/// A figure in the metric's unit, with three digits that count.
pub fn value(metric: Metric, value: f64) -> String {
    match metric {
        Metric::PacketRate => format!("{} Mpps", digits(value / 1e6)),
        Metric::TcpBulk(_) => format!("{} Gbit/s", digits(value / 1e9)),
        Metric::RoundTripP50 | Metric::RoundTripP99 => format!("{} µs", digits(value)),
    }
}

/// A ratio or a difference, without its interval.
pub fn middle(compared: Compared, estimate: Estimate) -> String {
    match compared {
        Compared::Ratio => digits(estimate.median),
        Compared::Difference => format!("{:+.1} µs", estimate.median),
    }
}

/// Its interval.
pub fn interval(compared: Compared, estimate: Estimate) -> String {
    match compared {
        Compared::Ratio => format!("{} to {}", digits(estimate.low), digits(estimate.high)),
        Compared::Difference => format!("{:+.1} to {:+.1}", estimate.low, estimate.high),
    }
}

/// Two paths: what is measured, against what.
pub fn paths(ours: PathName, twin: PathName) -> String {
    format!("{ours} / {twin}")
}

/// A number with about three digits that count.
pub fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 9.995 => {
            if size >= 99.95 {
                format!("{value:.0}")
            } else {
                format!("{value:.1}")
            }
        }
        size if size >= 0.0995 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_short() {
        let counts = [1, 1024, 65_536, 1 << 20, 1 << 23, 10_000, 1500, 0].map(count);
        assert_eq!(counts, ["1", "1k", "64k", "1M", "8M", "10k", "1500", "0"]);
    }

    #[test]
    fn numbers_have_three_digits() {
        let numbers = [0.034_56, 0.876, 1.234, 12.34, 123.4, 0.0].map(digits);
        assert_eq!(numbers, ["0.0346", "0.88", "1.23", "12.3", "123", "0.00"]);
    }

    #[test]
    fn conditions_name_what_matters() {
        let scenario = Scenario {
            queues: 2,
            updates_per_second: 10_000,
            ..Scenario::PLAIN
        };
        let mut comparison = Comparison {
            scenario,
            metric: Metric::PacketRate,
            ours: PathName::NveXdp,
            twin: PathName::TwinXdp,
        };
        let told = conditions(&comparison);
        assert_eq!(
            told,
            "encap + decap, 60 B, 1k records, uniform, 2 queues, 10k updates/s, to XDP"
        );
        comparison.scenario = Scenario {
            work: Work::RewriteOutIn,
            records: 1 << 20,
            ..Scenario::PLAIN
        };
        assert_eq!(
            conditions(&comparison),
            "rewrite out + in, 60 B, 1M records, uniform over the 65520 that have a PA, to XDP"
        );
        comparison.scenario = scenario;
        comparison.metric = Metric::TcpBulk(4);
        assert_eq!(
            conditions(&comparison),
            "TCP, 4 streams, 1k records, uniform"
        );
    }
}
