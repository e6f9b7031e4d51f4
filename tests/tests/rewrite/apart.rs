//! Tenants with the same addresses on the same hosts and NIC, and what strangers send to their PAs.

use crate::{FAR, FAR_PA, NEAR, NEAR_PA, PREFIX, plan};
use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{
        Frame, Link, PacketSocket, SOON, Site,
        documents::{rewritten, subnet},
        fabric::{Family, link_to},
        hear::{Ears, mark, tell},
        ping,
        plan::{A, B, Plan},
        proof,
        stream::Stream,
        tcp,
        watch::{Sin, bad, good, good_comes_first, nothing_came, sin, watch},
    },
    packet::{patch, patch_ip, received},
};
use std::net::IpAddr;
use xtask::lab::wait_until;

/// Red's own PAs.
const RED_NEAR_PA: [&str; 2] = ["192.0.2.11", "2001:db8:a::11"];
const RED_FAR_PA: [&str; 2] = ["192.0.2.75", "2001:db8:b::11"];
/// VMs on `host-a`, and their peers on `host-b`.
const PAIRS: [(&str, &str); 3] = [
    ("near", "far"),
    ("red-near", "red-far"),
    ("green-near", "green-far"),
];

/// Blue and red are rewritten, green is encapsulated; all have the same addresses.
fn three_domains(family: Family) -> Plan {
    let prefix = [family.of(PREFIX)];
    let mut plan = plan(family, "tc")
        .network("red", 0xC1, "", &[subnet(7001, &prefix, "")])
        .network("green", 0xD1, "", &[subnet(8001, &prefix, "")]);
    for (name, host, ca, pa) in [
        ("red-near", A, NEAR, RED_NEAR_PA),
        ("red-far", B, FAR, RED_FAR_PA),
    ] {
        let more = rewritten(&[family.of(pa)]);
        plan = plan.vm_with((name, "red"), host, Some(7001), &[family.of(ca)], &more);
    }
    plan.vm(("green-near", "green"), A, 8001, &[family.of(NEAR)])
        .vm(("green-far", "green"), B, 8001, &[family.of(FAR)])
}

/// Everybody talks at once, and nothing is lost.
fn all_talk_at_once(site: &Site, family: Family) -> Result<()> {
    let mut streams = Vec::new();
    for (near, far) in PAIRS {
        let (near, far) = (site.vm(near), site.vm(far));
        streams.push(Stream::start(near, far, family.of(FAR), 2000)?);
        streams.push(Stream::start(far, near, family.of(NEAR), 2000)?);
    }
    for (near, far) in PAIRS {
        let (near, far) = (site.vm(near), site.vm(far));
        ping(near, family.of(FAR), 1200)?;
        tcp(near, far, family.of(FAR), 500_000)?;
    }
    for stream in streams {
        stream.lossless()?;
    }
    Ok(())
}

/// A packet is heard by the one that it is for, and by nobody else.
fn nobody_else_hears(site: &Site, plan: &Plan, family: Family) -> Result<()> {
    let mut ears = Ears::at(site, plan.vms(), family.of([0x0800, 0x86DD]))?;
    for _ in 0..5 {
        for pair in PAIRS {
            for (from, to) in [pair, (pair.1, pair.0)] {
                let mark = mark();
                let mouth = PacketSocket::open(site.vm(from), "eth0")?;
                mouth.send(&tell(plan.find(from), plan.find(to), &mark)?)?;
                ears.only(&mark, &[to], 1)?;
            }
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tenants_with_the_same_addresses_and_nvgre_beside_never_meet() {
    for (name, family) in [("rwdom4", Family::V4), ("rwdom6", Family::V6)] {
        let plan = three_domains(family);
        proof(Site::of(name, &plan), |site| {
            all_talk_at_once(site, family)?;
            nobody_else_hears(site, &plan, family)?;
            site.conserved()
        });
    }
}

/// The frame as the router sends it to `host-a`.
fn to_host(site: &Site, frame: &[u8]) -> Result<Frame> {
    let host = Link::named(site.host(A), "eth0")?.bytes()?;
    let router = Link::named(site.middle(), link_to(A))?.bytes()?;
    Ok(patch(&patch(frame, 0, &host), 6, &router))
}

fn ip(pas: [&str; 2], family: Family) -> IpAddr {
    family.of(pas).parse().expect("a PA")
}

/// NVGRE of `host-b` to a VM's PA.
fn encapsulated(to: IpAddr, family: Family) -> Result<Frame> {
    let inner = bad(ip(FAR, family), ip(NEAR, family));
    let outer = received(crate::VSID, family.pa(B).parse::<IpAddr>()?, 0, &inner);
    Ok(match to {
        IpAddr::V4(to) => patch_ip(&outer, 30, &to.octets()),
        IpAddr::V6(to) => patch(&outer, 38, &to.octets()),
    })
}

/// What nobody may send to blue's VM on `host-a`, and the reason that it is counted under.
fn wrong(site: &Site, family: Family) -> Result<Vec<Sin>> {
    let own = ip(NEAR_PA, family);
    let from = |pas| bad(ip(pas, family), own);
    let stranger = ["203.0.113.9", "2001:db8:f::9"];
    let host = [family.pa(B); 2];
    let unknown = "NAT_SRC_UNKNOWN";
    let wrong = [
        ("from another domain", from(RED_FAR_PA), unknown),
        ("from a stranger", from(stranger), unknown),
        ("from a host", from(host), unknown),
        ("from a CA", from(FAR), unknown),
        ("NVGRE to a VM's PA", encapsulated(own, family)?, unknown),
        ("from itself", from(NEAR_PA), "PA_MISMATCH"),
        ("from another VM here", from(RED_NEAR_PA), unknown),
    ];
    let sent = |(what, frame, reason): (_, Frame, _)| Ok((what, to_host(site, &frame)?, reason));
    wrong.into_iter().map(sent).collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn packets_of_no_peer_are_counted_and_arrive_nowhere() {
    for (name, family) in [("rwforge4", Family::V4), ("rwforge6", Family::V6)] {
        let plan = three_domains(family);
        proof(Site::of(name, &plan), |site| {
            let places = ["near", "red-near", "green-near"].map(|vm| site.vm(vm));
            let watchers = watch(places)?;
            let sender = PacketSocket::open(site.middle(), link_to(A))?;
            for wrong in &wrong(site, family)? {
                sin(site, "uplink", &sender, wrong)?;
            }
            nothing_came(&watchers)?;
            let right = good(ip(FAR_PA, family), ip(NEAR_PA, family));
            sender.send(&to_host(site, &right)?)?;
            good_comes_first(&watchers[0])?;
            site.conserved()
        });
    }
}

/// A PA that is of no port here is the host's business: the frame comes there as it was.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_for_another_pa_passes_to_the_host_untouched() {
    for (name, family) in [("rwpass4", Family::V4), ("rwpass6", Family::V6)] {
        proof(Site::of(name, &three_domains(family)), |site| {
            let host = PacketSocket::open_for(site.host(A), "eth0", family.of([0x0800, 0x86DD]))?;
            let sender = PacketSocket::open(site.middle(), link_to(A))?;
            let nobody = ["192.0.2.33", "2001:db8:a::33"];
            let own = [family.pa(A), family.pa(A)];
            for to in [FAR_PA, RED_FAR_PA, nobody, own] {
                let frame = to_host(site, &good(ip(FAR_PA, family), ip(to, family)))?;
                sender.send(&frame)?;
                wait_until("the same frame", SOON, || {
                    let seen = host.drain()?;
                    Ok(seen.contains(&frame).then_some(()))
                })?;
            }
            let drops = site.drops(A)?;
            let uplinks = drops.iter().filter(|(name, _)| name.starts_with("uplink"));
            let dropped: u64 = uplinks.map(|(_, packets)| packets).sum();
            ensure!(dropped == 0, "{drops:?}");
            site.conserved()
        });
    }
}
