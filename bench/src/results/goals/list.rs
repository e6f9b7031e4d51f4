//! The goals.

mod records;
mod stacks;

use super::{Goal, Reads, Wanted};
use crate::{
    results::row::MachineKind,
    scenario::{Comparison, Metric, PathName, Scenario, Sink, Work},
};
use MachineKind::{Guest, Host};
use PathName::{
    GretapBridge, NveTc, NveXdp, OvsKernelGre, TextbookTc, TextbookXdp, TwinTc, TwinXdp, Veth,
    VxlanBridge,
};
use Wanted::{AtLeast, AtMost, Told};

const MILLION: u32 = 1 << 20;
const EIGHT_MILLIONS: u32 = 1 << 23;

const STACK: Scenario = Scenario {
    sink: Sink::Skb,
    ..Scenario::PLAIN
};

/// What is read to see how far any program can get.
const TEXTBOOK: &str = "its limit: a program without checks or counters";

/// All of them, in the order of a report.
pub fn goals() -> Vec<Goal> {
    let mut all = beside_the_twin();
    all.extend(per_packet());
    all.extend(delivered());
    all.extend(stacks::stream());
    all.extend(stacks::latency());
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
    let row = |work, metric, ours, (records, wanted)| {
        let scenario = Scenario {
            work,
            records,
            ..Scenario::PLAIN
        };
        let paths = (Host, ours, TwinXdp);
        comparison(metric, wanted, paths, (Metric::PacketRate, scenario))
    };
    let mut all = Vec::new();
    for (work, metric) in works {
        let goals = sizes.map(|(records, share)| (records, AtLeast(share)));
        all.extend(goals.map(|size| row(work, metric, NveXdp, size)));
        let limits = sizes.map(|(records, _)| (records, Told));
        all.extend(limits.map(|size| row(work, TEXTBOOK, TextbookXdp, size)));
    }
    all
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
    all.extend(limits_per_packet());
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

/// What any encapsulation takes, and any load from a table of that size.
fn limits_per_packet() -> Vec<Goal> {
    let mut all = Vec::new();
    let told = (Told, None);
    for records in [1024, MILLION, EIGHT_MILLIONS] {
        let records = records.to_string();
        let encap = [
            ("hook", "xdp"),
            ("keys", "uniform"),
            ("method", "driver, independent keys"),
            ("path", "textbook-xdp"),
            ("records", records.as_str()),
            ("work", "encap"),
        ];
        all.push(figure(TEXTBOOK, told, "ns-per-packet", &encap));
        let load = [("pages", "4 KiB"), ("records", records.as_str())];
        let metric = "its limit: one load from a table of that size";
        all.push(figure(metric, told, "memory-load", &load));
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
        comparison(TEXTBOOK, Told, (Host, TextbookXdp, TwinXdp), rate),
        comparison(redirect, AtLeast(0.95), (Host, NveTc, TwinTc), rate),
        comparison(TEXTBOOK, Told, (Host, TextbookTc, TwinTc), rate),
        comparison(veth, AtLeast(0.8), (Guest, NveTc, Veth), rate),
        comparison(TEXTBOOK, Told, (Guest, TextbookTc, Veth), rate),
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
