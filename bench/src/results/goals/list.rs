//! The goals.

mod records;

use super::{Goal, Reads, Wanted};
use crate::{
    results::row::MachineKind,
    scenario::{Comparison, Metric, PathName, Scenario, Sink, Work},
};
use MachineKind::{Guest, Host};
use PathName::{
    GretapBridge, NveTc, NveXdp, OvsKernelGre, OvsUserGre, TwinTc, TwinXdp, Veth, VxlanBridge,
};
use Wanted::{AtLeast, AtMost, Told};

const MILLION: u32 = 1 << 20;
const EIGHT_MILLIONS: u32 = 1 << 23;

const STACK: Scenario = Scenario {
    sink: Sink::Skb,
    ..Scenario::PLAIN
};
const STREAM: Scenario = Scenario {
    frame: 1514,
    ..STACK
};

/// All of them, in the order of a report.
pub fn goals() -> Vec<Goal> {
    let mut all = beside_the_twin();
    all.extend(per_packet());
    all.extend(delivered());
    all.extend(stream());
    all.extend(latency());
    all.extend(records::threads_and_updates());
    all.extend(records::enforced());
    all
}

fn comparison(
    metric: &'static str,
    wanted: Wanted,
    (machine, ours, twin): (MachineKind, PathName, PathName),
    (read, scenario): (Metric, Scenario),
) -> Goal {
    let comparison = Comparison {
        scenario,
        metric: read,
        ours,
        twin,
    };
    Goal {
        metric,
        wanted,
        stretch: None,
        reads: Reads::Comparison(machine, comparison),
    }
}

fn figure(
    metric: &'static str,
    (wanted, stretch): (Wanted, Option<f64>),
    name: &'static str,
    parameters: &[(&'static str, &str)],
) -> Goal {
    let parameters = parameters.iter();
    let parameters = parameters.map(|(name, value)| (*name, (*value).to_owned()));
    Goal {
        metric,
        wanted,
        stretch,
        reads: Reads::Figure {
            name,
            parameters: parameters.collect(),
        },
    }
}

fn beside_the_twin() -> Vec<Goal> {
    let works = [
        (
            Work::EncapDecap,
            "encap + decap, share of the do-nothing twin",
        ),
        (
            Work::RewriteOutIn,
            "rewrite out + in, share of the do-nothing twin",
        ),
    ];
    let sizes = [(1024, 0.9), (MILLION, 0.8), (EIGHT_MILLIONS, 0.7)];
    let goal = |work, metric, records, share| {
        let scenario = Scenario {
            work,
            records,
            ..Scenario::PLAIN
        };
        let paths = (Host, NveXdp, TwinXdp);
        comparison(
            metric,
            AtLeast(share),
            paths,
            (Metric::PacketRate, scenario),
        )
    };
    let all = works.into_iter().flat_map(|(work, metric)| {
        sizes.map(|(records, share)| goal(work, metric, records, share))
    });
    all.collect()
}

fn per_packet() -> Vec<Goal> {
    let goal = |metric, work, (wanted, stretch), records: u32| {
        let records = records.to_string();
        let parameters = [
            ("hook", "xdp"),
            ("keys", "uniform"),
            ("method", "driver, independent keys"),
            ("records", records.as_str()),
            ("work", work),
        ];
        figure(metric, (wanted, stretch), "ns-per-packet", &parameters)
    };
    let mut all = Vec::new();
    for (records, most, stretch) in [
        (1024, 60.0, 50.0),
        (MILLION, 130.0, 110.0),
        (EIGHT_MILLIONS, 160.0, 130.0),
    ] {
        let wanted = (AtMost(most), Some(stretch));
        all.push(goal("time added per encap", "encap", wanted, records));
    }
    for (metric, work) in [
        ("time added per decap", "decap"),
        ("time added per rewrite out", "rewrite-out"),
        ("time added per rewrite in", "rewrite-in"),
    ] {
        let sizes = [1024, MILLION, EIGHT_MILLIONS];
        all.extend(sizes.map(|records| goal(metric, work, (Told, None), records)));
    }
    all
}

fn delivered() -> Vec<Goal> {
    let rate = (Metric::PacketRate, STACK);
    let vxlan = "delivered to the tenant, against vxlan + bridge";
    let redirect = "the same, against redirects without encap";
    let veth = "the same, against plain veth";
    let tunnels = "the same, against GRE of the kernel";
    let mut all = vec![
        comparison(vxlan, AtLeast(4.0), (Host, NveXdp, VxlanBridge), rate),
        comparison(vxlan, AtLeast(3.0), (Host, NveTc, VxlanBridge), rate),
        comparison(redirect, AtLeast(0.9), (Host, NveXdp, TwinXdp), rate),
        comparison(redirect, AtLeast(0.95), (Host, NveTc, TwinTc), rate),
        comparison(veth, AtLeast(0.8), (Guest, NveTc, Veth), rate),
    ];
    for machine in [Guest, Host] {
        let limit = "its limit: redirects against plain veth";
        all.push(comparison(limit, Told, (machine, TwinTc, Veth), rate));
    }
    for other in [GretapBridge, OvsKernelGre] {
        all.extend(
            [NveXdp, NveTc].map(|ours| comparison(tunnels, Told, (Guest, ours, other), rate)),
        );
    }
    all
}

/// Every peer, where it can be had.
const PEERS: [(MachineKind, PathName); 4] = [
    (Host, VxlanBridge),
    (Host, OvsUserGre),
    (Guest, GretapBridge),
    (Guest, OvsKernelGre),
];

fn stream() -> Vec<Goal> {
    let read = (Metric::TcpBulk(1), STREAM);
    let mut all = vec![
        comparison(
            "TCP, against bare veth",
            AtLeast(0.95),
            (Host, NveTc, Veth),
            read,
        ),
        comparison(
            "its limit: redirects against bare veth",
            Told,
            (Host, TwinTc, Veth),
            read,
        ),
    ];
    let peers = PEERS.map(|(machine, peer)| {
        comparison(
            "TCP, against a peer",
            AtLeast(1.0),
            (machine, NveTc, peer),
            read,
        )
    });
    all.extend(peers);
    all
}

fn latency() -> Vec<Goal> {
    let mut all = Vec::new();
    for (metric, most) in [(Metric::RoundTripP50, 3.0), (Metric::RoundTripP99, 10.0)] {
        let read = (metric, STREAM);
        let added = "request and response, µs added to bare veth";
        all.push(comparison(added, AtMost(most), (Host, NveTc, Veth), read));
        let limit = "its limit: µs that redirects add";
        all.push(comparison(limit, Told, (Host, TwinTc, Veth), read));
        let below = "request and response, µs added to a peer";
        all.extend(
            PEERS.map(|(machine, peer)| {
                comparison(below, AtMost(0.0), (machine, NveTc, peer), read)
            }),
        );
    }
    all
}
