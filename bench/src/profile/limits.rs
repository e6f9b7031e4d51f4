//! What shows how far any program can get on this machine.

use super::matrix::{HUGE, LARGE, peer, stacks, twin};
use crate::scenario::{
    Comparison, Metric,
    PathName::{GretapBridge, NveXdp, TextbookTc, TextbookXdp, TwinTc, TwinXdp, Veth},
    Work,
};

/// The limits of ours: what is left to a path with a host in its middle that does nothing, and to one
/// that does the same work without a check.
pub(super) fn host() -> Vec<Comparison> {
    let bulk = Metric::TcpBulk(1);
    let mut all = vec![
        peer(TwinTc, Veth, 60),
        stacks(Metric::RoundTripP99, TwinTc, Veth),
        peer(TextbookXdp, TwinXdp, 60),
        peer(TextbookTc, TwinTc, 60),
    ];
    for ours in [TwinTc, TextbookTc] {
        let both = [bulk, Metric::RoundTripP50];
        all.extend(both.map(|metric| stacks(metric, ours, Veth)));
    }
    for work in [Work::EncapDecap, Work::RewriteOutIn] {
        all.extend([1024, LARGE, HUGE].map(|records| Comparison {
            ours: TextbookXdp,
            ..twin(NveXdp, |scenario| {
                scenario.work = work;
                scenario.records = records;
            })
        }));
    }
    all
}

/// The same in the guest, where kernels have more peers.
pub(super) fn guest() -> [Comparison; 3] {
    [
        peer(TwinTc, Veth, 60),
        peer(TextbookTc, Veth, 60),
        stacks(Metric::TcpBulk(1), TextbookTc, GretapBridge),
    ]
}
