//! Goals of what records cost: their updates, their way into the tables, their memory.

use super::{
    super::{
        Goal,
        Wanted::{AtLeast, AtMost, Told},
    },
    EIGHT_MILLIONS, MILLION, comparison, figure,
};
use crate::{
    results::row::MachineKind::Host,
    scenario::{
        Metric,
        PathName::{
            NveTc, NveTcIdleWriter, NveTcOneThread, NveTcStill, NveXdp, NveXdpIdleWriter,
            NveXdpOneThread, NveXdpStill, TwinTc, TwinTcOneThread, TwinXdp, TwinXdpOneThread,
        },
        Scenario, Sink,
    },
};

pub(super) fn threads_and_updates() -> Vec<Goal> {
    let mut all = Vec::new();
    let hooks = [
        (
            (NveXdp, NveXdpOneThread, NveXdpStill, NveXdpIdleWriter),
            (TwinXdp, TwinXdpOneThread),
            Sink::Frame,
        ),
        (
            (NveTc, NveTcOneThread, NveTcStill, NveTcIdleWriter),
            (TwinTc, TwinTcOneThread),
            Sink::Skb,
        ),
    ];
    for ((ours, one, still, idle), (twin, alone), sink) in hooks {
        let plain = Scenario {
            sink,
            ..Scenario::PLAIN
        };
        let two = Scenario { queues: 2, ..plain };
        let metric = "two generator threads on two CPUs, against one";
        let read = (Metric::PacketRate, two);
        all.push(comparison(metric, AtLeast(1.8), (Host, ours, one), read));
        let limit = "its limit: two threads of redirects, against one";
        all.push(comparison(limit, Told, (Host, twin, alone), read));
        for updates_per_second in [10_000, 100_000] {
            let scenario = Scenario {
                updates_per_second,
                ..plain
            };
            let metric = "packet rate under updates, against none";
            let read = (Metric::PacketRate, scenario);
            all.push(comparison(metric, AtLeast(0.98), (Host, ours, still), read));
            let limit = "its limit: a thread that wakes as often and writes nothing";
            all.push(comparison(limit, Told, (Host, idle, still), read));
        }
    }
    let halves = |hook, packets, records| {
        let parameters = [
            ("hook", hook),
            ("of packets", packets),
            ("records", records),
            ("updates/s", "100000"),
        ];
        let wanted = (AtMost(0.0), None);
        figure(
            "packets that saw half an update",
            wanted,
            "half-updates",
            &parameters,
        )
    };
    all.push(halves("xdp", "100000000", "1024"));
    all.push(halves("xdp", "10000000", "1"));
    all.push(halves("tc", "10000000", "1024"));
    all
}

pub(super) fn enforced() -> Vec<Goal> {
    let sizes = [MILLION, EIGHT_MILLIONS].map(|records| records.to_string());
    let mut all = Vec::new();
    for (from, wanted) in [
        ("compiled image", (AtLeast(5e6), Some(10e6))),
        ("NDJSON file", (AtLeast(1e6), None)),
    ] {
        all.extend(sizes.iter().map(|records| {
            let parameters = [("from", from), ("records", records)];
            figure(
                "records per second until enforced",
                wanted,
                "load-rate",
                &parameters,
            )
        }));
    }
    for (records, most) in sizes.iter().zip([2.0, 15.0]) {
        let parameters = [
            ("records", records.as_str()),
            ("until", "last record enforced"),
        ];
        all.push(figure(
            "cold start, s",
            (AtMost(most), None),
            "cold-start",
            &parameters,
        ));
    }
    for records in &sizes {
        let parameters = [("of", "kernel and agent, idle"), ("records", records)];
        let wanted = (AtMost(80e6), Some(60e6));
        all.push(figure(
            "memory per million records, B",
            wanted,
            "memory",
            &parameters,
        ));
    }
    all
}
