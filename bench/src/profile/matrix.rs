//! What the profiles compare: one axis at a time from the plain point, so that each difference has
//! one cause.

use super::{limits, plain};
use crate::{
    results::row::MachineKind,
    scenario::{Comparison, Keys, Metric, PathName, Refusal, Scenario, Sink, Work},
};
use PathName::{
    GretapBridge, NveTc, NveTcIdleWriter, NveTcOneThread, NveTcStill, NveXdp, NveXdpIdleWriter,
    NveXdpOneThread, NveXdpStill, OvsKernelGre, OvsUserGre, TextbookXdp, TwinTc, TwinTcOneThread,
    TwinXdp, TwinXdpOneThread, Veth, VxlanBridge,
};

const MIDDLE: u32 = 1 << 16;
pub(super) const LARGE: u32 = 1 << 20;
pub(super) const HUGE: u32 = 1 << 23;
/// Other ways to do the whole job. What a kernel lacks has a row that says so.
const PEERS: [PathName; 5] = [Veth, VxlanBridge, GretapBridge, OvsKernelGre, OvsUserGre];
const WORKS: [Work; 6] = [
    Work::Encap,
    Work::Decap,
    Work::SameHost,
    Work::Drop(Refusal::SpoofMac),
    Work::Drop(Refusal::SpoofCa),
    Work::Drop(Refusal::NoLookupRecord),
];

/// Packet rate of ours beside its do-nothing twin, with these changes to the plain point.
pub(super) fn twin(ours: PathName, change: impl Fn(&mut Scenario)) -> Comparison {
    let twin = if ours == NveTc { TwinTc } else { TwinXdp };
    let mut scenario = plain(ours);
    change(&mut scenario);
    Comparison {
        scenario,
        metric: Metric::PacketRate,
        ours,
        twin,
    }
}

fn both(change: impl Fn(&mut Scenario) + Copy) -> [Comparison; 2] {
    [twin(NveXdp, change), twin(NveTc, change)]
}

/// Packet rate of ours beside ours without one of the conditions.
fn without(ours: PathName, other: PathName, change: impl Fn(&mut Scenario)) -> Comparison {
    Comparison {
        twin: other,
        ..twin(ours, change)
    }
}

/// What a second thread on a second CPU gains, and what updates cost.
fn ours_beside_ours() -> Vec<Comparison> {
    let mut all = Vec::new();
    for (ours, one, still, idle) in [
        (NveXdp, NveXdpOneThread, NveXdpStill, NveXdpIdleWriter),
        (NveTc, NveTcOneThread, NveTcStill, NveTcIdleWriter),
    ] {
        all.push(without(ours, one, |scenario| scenario.queues = 2));
        let (twin, alone) = if ours == NveTc {
            (TwinTc, TwinTcOneThread)
        } else {
            (TwinXdp, TwinXdpOneThread)
        };
        all.push(Comparison {
            ours: twin,
            ..without(ours, alone, |scenario| scenario.queues = 2)
        });
        for updates in [10_000, 100_000] {
            let beside_none = without(ours, still, move |scenario| {
                scenario.updates_per_second = updates;
            });
            all.push(beside_none);
            all.push(Comparison {
                ours: idle,
                ..beside_none
            });
        }
    }
    all
}

/// PAs in place of CAs, at both hooks: the whole way with tables of each size, and each half of it.
fn rewriting() -> Vec<Comparison> {
    let mut all = Vec::new();
    for work in [Work::RewriteOut, Work::RewriteIn] {
        all.extend(both(move |scenario| scenario.work = work));
    }
    for records in [1024, MIDDLE, LARGE, HUGE] {
        all.extend(both(move |scenario| {
            scenario.work = Work::RewriteOutIn;
            scenario.records = records;
        }));
    }
    all
}

/// Packet rate beside another way, delivered as skbs as tenants' stacks get them.
pub(super) fn peer(ours: PathName, other: PathName, frame: u16) -> Comparison {
    let scenario = Scenario {
        frame,
        sink: Sink::Skb,
        ..Scenario::PLAIN
    };
    Comparison {
        scenario,
        metric: Metric::PacketRate,
        ours,
        twin: other,
    }
}

/// TCP between the stacks of two tenants.
pub(super) fn stacks(metric: Metric, ours: PathName, other: PathName) -> Comparison {
    let scenario = Scenario {
        frame: 1514,
        sink: Sink::Skb,
        ..Scenario::PLAIN
    };
    Comparison {
        scenario,
        metric,
        ours,
        twin: other,
    }
}

/// Our XDP programs beside one with a hash table, which is fast as long as the table is small.
fn textbook(records: u32, keys: Keys) -> Comparison {
    let scenario = Scenario {
        records,
        keys,
        ..Scenario::PLAIN
    };
    Comparison {
        scenario,
        metric: Metric::PacketRate,
        ours: NveXdp,
        twin: TextbookXdp,
    }
}

/// What is published.
pub(super) fn full(machine: MachineKind) -> Vec<Comparison> {
    match machine {
        MachineKind::Host => host(),
        MachineKind::Guest => guest(),
    }
}

fn host() -> Vec<Comparison> {
    let mut all = both(|_| {}).to_vec();
    all.extend(
        WORKS
            .into_iter()
            .flat_map(|work| both(move |scenario| scenario.work = work)),
    );
    all.push(twin(NveXdp, |scenario| scenario.sink = Sink::Skb));
    for frame in [256, 512, 1514] {
        all.extend(both(|scenario| scenario.frame = frame));
    }
    all.extend(both(|scenario| scenario.queues = 2));
    all.extend(ours_beside_ours());
    all.extend(tables());
    all.extend(rewriting());
    for ours in [NveXdp, NveTc] {
        all.extend(PEERS.map(|other| peer(ours, other, 60)));
    }
    all.extend([Veth, VxlanBridge].map(|other| peer(NveTc, other, 1514)));
    all.extend(PEERS.map(|other| stacks(Metric::TcpBulk(1), NveTc, other)));
    all.extend([Veth, VxlanBridge].map(|other| stacks(Metric::TcpBulk(4), NveTc, other)));
    all.push(stacks(Metric::TcpBulk(1), NveXdp, Veth));
    for metric in [Metric::RoundTripP50, Metric::RoundTripP99] {
        all.extend(PEERS.map(|other| stacks(metric, NveTc, other)));
    }
    all.extend(limits::host());
    all
}

/// Records by keys; the largest tables last, one after the other.
fn tables() -> Vec<Comparison> {
    let with = |records, keys| {
        move |scenario: &mut Scenario| {
            scenario.records = records;
            scenario.keys = keys;
        }
    };
    // With 1,024 records "1k hot" and "uniform" are the same.
    let mut all = vec![
        twin(NveXdp, with(1024, Keys::OneHot)),
        twin(NveXdp, with(1024, Keys::Zipf)),
        textbook(1024, Keys::Uniform),
    ];
    for records in [MIDDLE, LARGE, HUGE] {
        let hot = [Keys::OneHot, Keys::ThousandHot, Keys::Zipf];
        if records == LARGE {
            all.extend(hot.map(|keys| twin(NveXdp, with(records, keys))));
        }
        all.push(twin(NveXdp, with(records, Keys::Uniform)));
        all.push(twin(NveTc, with(records, Keys::Uniform)));
        if records < HUGE {
            all.push(textbook(records, Keys::Uniform));
        }
    }
    all.push(textbook(LARGE, Keys::Zipf));
    all.push(without(NveXdp, NveXdpStill, |scenario| {
        scenario.records = LARGE;
        scenario.updates_per_second = 10_000;
    }));
    all
}

/// The plain point only: the CPU is emulated, and ratios say little about a real one.
fn guest() -> Vec<Comparison> {
    let mut all = both(|_| {}).to_vec();
    for ours in [NveXdp, NveTc] {
        all.extend(PEERS.map(|other| peer(ours, other, 60)));
    }
    all.extend(PEERS.map(|other| stacks(Metric::TcpBulk(1), NveTc, other)));
    all.extend(PEERS.map(|other| stacks(Metric::RoundTripP50, NveTc, other)));
    let late = Metric::RoundTripP99;
    all.extend([GretapBridge, OvsKernelGre].map(|other| stacks(late, NveTc, other)));
    all.extend(limits::guest());
    all
}

/// A look at every question.
pub(super) fn quick(machine: MachineKind) -> Vec<Comparison> {
    if machine == MachineKind::Guest {
        let mut all = vec![twin(NveXdp, |_| {})];
        all.extend([GretapBridge, OvsKernelGre].map(|other| peer(NveXdp, other, 60)));
        all.push(stacks(Metric::TcpBulk(1), NveTc, GretapBridge));
        return all;
    }
    let mut all = both(|_| {}).to_vec();
    all.push(twin(NveXdp, |scenario| scenario.records = MIDDLE));
    all.push(twin(NveXdp, |scenario| scenario.work = Work::RewriteOutIn));
    all.push(without(NveXdp, NveXdpOneThread, |scenario| {
        scenario.queues = 2;
    }));
    all.push(without(NveXdp, NveXdpStill, |scenario| {
        scenario.updates_per_second = 10_000;
    }));
    all.extend(PEERS.map(|other| peer(NveXdp, other, 60)));
    all.push(stacks(Metric::TcpBulk(1), NveTc, Veth));
    all.push(stacks(Metric::RoundTripP50, NveTc, Veth));
    all
}

/// One of each kind of subject.
pub(super) fn sanity(_: MachineKind) -> Vec<Comparison> {
    vec![
        twin(NveXdp, |_| {}),
        twin(NveTc, |_| {}),
        peer(NveTc, VxlanBridge, 60),
        peer(NveTc, GretapBridge, 60),
        stacks(Metric::RoundTripP50, NveTc, Veth),
    ]
}
