//! Goals of what passes between the stacks of two tenants: a stream, and one byte there and back.

use super::{
    super::{
        Goal,
        Wanted::{AtLeast, AtMost, Told},
    },
    STACK, TEXTBOOK, comparison,
};
use crate::{
    results::row::MachineKind::{self, Guest, Host},
    scenario::{
        Metric,
        PathName::{
            self, GretapBridge, NveTc, OvsKernelGre, OvsUserGre, TextbookTc, TwinTc, Veth,
            VxlanBridge,
        },
        Scenario,
    },
};

const STREAM: Scenario = Scenario {
    frame: 1514,
    ..STACK
};

/// Every peer, where it can be had.
const PEERS: [(MachineKind, PathName); 4] = [
    (Host, VxlanBridge),
    (Host, OvsUserGre),
    (Guest, GretapBridge),
    (Guest, OvsKernelGre),
];

pub(super) fn stream() -> Vec<Goal> {
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
        comparison(TEXTBOOK, Told, (Host, TextbookTc, Veth), read),
        comparison(TEXTBOOK, Told, (Guest, TextbookTc, GretapBridge), read),
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

pub(super) fn latency() -> Vec<Goal> {
    let mut all = Vec::new();
    for (metric, most) in [(Metric::RoundTripP50, 3.0), (Metric::RoundTripP99, 10.0)] {
        let read = (metric, STREAM);
        let added = "request and response, µs added to bare veth";
        all.push(comparison(added, AtMost(most), (Host, NveTc, Veth), read));
        let limit = "its limit: µs that redirects add";
        all.push(comparison(limit, Told, (Host, TwinTc, Veth), read));
        if metric == Metric::RoundTripP50 {
            all.push(comparison(TEXTBOOK, Told, (Host, TextbookTc, Veth), read));
        }
        let below = "request and response, µs added to a peer";
        all.extend(
            PEERS.map(|(machine, peer)| {
                comparison(below, AtMost(0.0), (machine, NveTc, peer), read)
            }),
        );
    }
    all
}
