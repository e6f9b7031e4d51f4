//! What measures packet rates measures packets that arrive. Never a speed.

mod keys;
mod states;

use std::time::Duration;

use dataplane_bench::{
    paths::{self, Absence, Built, DROP, room, route},
    rate::{BY_CPU, Rate, share_received},
    scenario::{Keys, PathName, Refusal, Scenario, Sink, Work},
    subject::Measured,
};

const SHORT: Duration = Duration::from_millis(100);

const WORKS: [Work; 8] = [
    Work::Encap,
    Work::Decap,
    Work::EncapDecap,
    Work::RewriteOut,
    Work::RewriteIn,
    Work::RewriteOutIn,
    Work::SameHost,
    Work::Drop(Refusal::SpoofMac),
];

fn why(absence: Absence) -> String {
    match absence {
        Absence::NotAvailable(why) => format!("not available: {why}"),
        Absence::Failed(error) => format!("{error:#}"),
    }
}

fn built(path: PathName, scenario: &Scenario) -> Built {
    paths::build(path, scenario).unwrap_or_else(|absence| panic!("{path}: {}", why(absence)))
}

fn measured(path: PathName, scenario: &Scenario) -> Measured {
    let rate = Rate::new(built(path, scenario), scenario);
    let mut rate = rate.unwrap_or_else(|absence| panic!("{path} {scenario:?}: {}", why(absence)));
    let measured = rate.measure(SHORT);
    measured.unwrap_or_else(|error| panic!("{path} {scenario:?}: {error:#}"))
}

fn count(measured: &Measured, name: &str) -> u64 {
    measured.details.get(name).copied().unwrap_or(0)
}

/// Packets arrive, none that was not sent.
fn arrived(measured: &Measured) {
    let (sent, received) = (count(measured, "sent"), count(measured, "received"));
    assert!(measured.value > 0.0, "{measured:?}");
    assert!(received > 0 && received <= sent, "{measured:?}");
    let share = share_received(&measured.details).expect("both were counted");
    assert!(0.0 < share && share <= 1.0, "{measured:?}");
}

/// What arrived is what our programs say that they sent on, and they dropped nothing.
fn conserved(work: Work, measured: &Measured) {
    let sum = |names: &[&str]| -> u64 { names.iter().map(|name| count(measured, name)).sum() };
    let dropped: u64 = measured
        .details
        .iter()
        .filter(|(name, _)| name.starts_with(DROP))
        .map(|(_, packets)| packets)
        .sum();
    let outcomes = [
        "egress_encapped",
        "egress_rewritten",
        "egress_delivered",
        "ingress_delivered",
    ];
    assert_eq!(
        sum(&["egress_received", "ingress_received"]),
        sum(&outcomes) + dropped,
        "{measured:?}"
    );
    let last = match work {
        Work::Encap => "egress_encapped",
        Work::RewriteOut => "egress_rewritten",
        Work::Decap | Work::EncapDecap | Work::RewriteIn | Work::RewriteOutIn => {
            "ingress_delivered"
        }
        Work::SameHost => "egress_delivered",
        Work::Drop(_) => "egress_received",
    };
    assert!(count(measured, last) >= count(measured, "received"));
    let refused = matches!(work, Work::Drop(_));
    assert_eq!(
        dropped,
        if refused {
            count(measured, "received")
        } else {
            0
        },
        "{measured:?}"
    );
}

fn every_work(ours: PathName, twin: PathName, sink: Sink) {
    for work in WORKS {
        let scenario = Scenario {
            work,
            sink,
            ..Scenario::PLAIN
        };
        let measured_ours = measured(ours, &scenario);
        arrived(&measured_ours);
        conserved(work, &measured_ours);
        arrived(&measured(twin, &scenario));
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_work_arrives_at_xdp() {
    every_work(PathName::NveXdp, PathName::TwinXdp, Sink::Frame);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_work_arrives_at_tc() {
    every_work(PathName::NveTc, PathName::TwinTc, Sink::Skb);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn as_many_cas_are_rewritten_as_there_are_pas() {
    let scenario = Scenario {
        work: Work::RewriteOutIn,
        records: 1 << 17,
        ..Scenario::PLAIN
    };
    let measured = measured(PathName::NveXdp, &scenario);
    arrived(&measured);
    conserved(scenario.work, &measured);
    let keys = count(&measured, "keys");
    assert!(1024 < keys && keys <= u64::from(room::PAS), "{measured:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn skbs_arrive_behind_xdp() {
    let scenario = Scenario {
        sink: Sink::Skb,
        ..Scenario::PLAIN
    };
    let measured = measured(PathName::NveXdp, &scenario);
    arrived(&measured);
    conserved(scenario.work, &measured);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_reason_to_drop_is_counted() {
    for refusal in [Refusal::SpoofMac, Refusal::SpoofCa, Refusal::NoLookupRecord] {
        let scenario = Scenario {
            work: Work::Drop(refusal),
            ..Scenario::PLAIN
        };
        let measured = measured(PathName::NveXdp, &scenario);
        conserved(scenario.work, &measured);
        let name = format!("{DROP}{}", refusal.reason().as_str());
        assert_eq!(
            count(&measured, &name),
            count(&measured, "received"),
            "{measured:?}"
        );
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn keys_queues_frames_and_updates_are_as_asked() {
    let scenario = Scenario {
        keys: Keys::Zipf,
        records: 100_000,
        frame: 1514,
        queues: 2,
        updates_per_second: 1000,
        ..Scenario::PLAIN
    };
    let measured = measured(PathName::NveXdp, &scenario);
    arrived(&measured);
    assert!(count(&measured, "keys") > 1, "{measured:?}");
    assert!(count(&measured, "updates") > 0, "{measured:?}");
    assert!(count(&measured, "updates.due") > 0, "{measured:?}");
    let told = |name: &&String| name.starts_with("generator.");
    assert_eq!(measured.details.keys().filter(told).count(), 1);
    let busy = measured
        .details
        .keys()
        .filter(|name| name.starts_with(BY_CPU));
    assert!(busy.count() >= 2, "each queue has its CPU: {measured:?}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_path_that_drops_its_packets_is_not_measured() {
    let scenario = Scenario::PLAIN;
    let mut broken = built(PathName::NveXdp, &scenario);
    broken.frames = route::frames(&Scenario {
        work: Work::Drop(Refusal::SpoofMac),
        ..scenario
    });
    let refused = Rate::new(broken, &scenario).err().map(why);
    let refused = refused.expect("all packets are spoofed");
    assert!(refused.contains("0 of 64 packets arrived"), "{refused}");
    assert!(refused.contains("SPOOF_MAC"), "{refused}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_cannot_be_had_says_why() {
    let frames_of_skbs = paths::build(PathName::NveTc, &Scenario::PLAIN).err();
    let why_not = frames_of_skbs.map(why).expect("a native sink sees no skb");
    assert!(
        why_not.starts_with("not available: bpf_redirect_peer"),
        "{why_not}"
    );
    let scenario = Scenario {
        updates_per_second: 1,
        ..Scenario::PLAIN
    };
    let no_records = Rate::new(built(PathName::TwinXdp, &scenario), &scenario).err();
    let why_not = no_records.map(why).expect("a twin has no records");
    assert!(why_not.contains("no records"), "{why_not}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tenants_talk_both_ways() {
    for path in [
        PathName::NveTc,
        PathName::NveXdp,
        PathName::TwinTc,
        PathName::TwinXdp,
    ] {
        for work in [Work::EncapDecap, Work::RewriteOutIn, Work::SameHost] {
            let scenario = Scenario {
                work,
                sink: Sink::Skb,
                ..Scenario::PLAIN
            };
            let built = built(path, &scenario);
            let to = built.sink.address.expect("a tenant has an address");
            let ping = built
                .source
                .netns
                .exec(&["ping", "-c", "2", "-i", "0.2", "-W", "5", to]);
            ping.unwrap_or_else(|error| panic!("{path} {work:?}: {error:#}"));
        }
    }
}
