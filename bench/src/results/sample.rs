//! A small made-up result file for unit tests.

use std::collections::BTreeMap;

use super::{
    file::Results,
    row::{Demands, FORMAT, MachineKind, Row, Run, Trial, Unavailable},
};
use crate::{
    figures::{Figure, Unit},
    noise::{Limits, Quiet},
    scenario::{Comparison, Metric, PathName, Scenario, Sink},
};

/// Two paths at the plain point.
pub(crate) const fn against(ours: PathName, twin: PathName) -> Comparison {
    Comparison {
        scenario: Scenario::PLAIN,
        metric: Metric::PacketRate,
        ours,
        twin,
    }
}

/// A run of so many minor versions of kernel 6.
pub(crate) fn run(minor: u32, machine: MachineKind) -> Run {
    Run {
        format: FORMAT,
        revision: "0123456789ab".to_owned(),
        dirty: false,
        kernel: format!("6.{minor}"),
        machine,
        cpu: "Some CPU".to_owned(),
        cores: 2,
        seed: 1,
        profile: "full".to_owned(),
        started: "2026-01-02T03:04:05Z".to_owned(),
        tools: BTreeMap::from([("ovs".to_owned(), "3.1.0".to_owned())]),
        demands: Demands {
            min_pairs: 3,
            tolerance: 0.05,
            limits: Limits {
                calibration: 0.1,
                steal: 0.02,
            },
        },
    }
}

/// Pairs with the twin at `twin` and ours at these multiples of it; the last is discarded.
pub(crate) fn trials(comparison: Comparison, twin: f64, ratios: &[f64]) -> Vec<Row> {
    let last = ratios.len() - 1;
    let pair = |(pair, ratio): (usize, &f64)| {
        [(comparison.ours, ratio * twin), (comparison.twin, twin)]
            .into_iter()
            .zip(0..)
            .map(move |((path, value), half)| {
                Row::Trial(Trial {
                    comparison,
                    pair,
                    half,
                    path,
                    value,
                    details: BTreeMap::new(),
                    quiet: Quiet {
                        calibration_before: 50,
                        calibration_after: 51,
                        ..Quiet::default()
                    },
                    discarded: (pair == last)
                        .then(|| "calibration moved by 30 % (limit 10 %)".to_owned()),
                })
            })
            .collect::<Vec<_>>()
    };
    ratios.iter().enumerate().flat_map(pair).collect()
}

/// All rows: a clear comparison, a noisy one, TCP, latency, a missing peer, a figure.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![Row::Run(run(18, MachineKind::Host))];
    rows.extend(trials(
        against(PathName::NveXdp, PathName::TwinXdp),
        2e6,
        &[0.8, 0.79, 0.81, 2.0],
    ));
    let skb = Scenario {
        sink: Sink::Skb,
        ..Scenario::PLAIN
    };
    let vxlan = Comparison {
        scenario: skb,
        ..against(PathName::NveXdp, PathName::VxlanBridge)
    };
    rows.extend(trials(vxlan, 2e5, &[4.0, 6.0, 5.0, 4.0, 3.0]));
    let tcp = Comparison {
        metric: Metric::TcpBulk(1),
        ..against(PathName::NveTc, PathName::Veth)
    };
    rows.extend(trials(tcp, 19e9, &[0.9, 0.9, 0.91, 1.0]));
    let latency = Comparison {
        metric: Metric::RoundTripP50,
        ..tcp
    };
    rows.extend(trials(latency, 25.0, &[1.1, 1.1, 1.1, 1.0]));
    rows.push(Row::Unavailable(Unavailable {
        comparison: Comparison {
            scenario: skb,
            ..against(PathName::NveXdp, PathName::GretapBridge)
        },
        path: PathName::GretapBridge,
        why: "this kernel has no gretap".to_owned(),
        failed: false,
    }));
    rows.push(Row::Figure(Figure {
        name: "records loaded".to_owned(),
        parameters: BTreeMap::from([("records".to_owned(), "1M".to_owned())]),
        unit: Unit::RecordsPerSecond,
        trials: vec![2e6, 2.1e6, 1.9e6],
        absence: None,
    }));
    rows
}

/// [`rows`], read.
pub(crate) fn results() -> Results {
    of(&rows())
}

/// These rows, read.
pub(crate) fn of(rows: &[Row]) -> Results {
    let text: String = rows
        .iter()
        .map(|row| serde_json::to_string(row).expect("JSON") + "\n")
        .collect();
    Results::parse(&text, "sample").expect("rows")
}
