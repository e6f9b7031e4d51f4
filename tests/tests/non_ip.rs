//! Frames that are not IP, and frames with VLAN tags.

use anyhow::{Result, ensure};
use dataplane_tests::{
    net::{
        Frame, PacketSocket, Site,
        documents::subnet,
        hear::{Ears, mark, tell},
        outer::{carries, with_mark},
        ping,
        plan::{A, B, Plan, Vm},
        proof,
    },
    packet::tagged,
};

const VSID: u32 = 6001;
/// A type for local experiments (IEEE 802, 9.2.4).
const EXPERIMENT: u16 = 0x88B5;
const FAR: &str = "10.0.0.7";
const TAGS: usize = 4;

/// Two VMs on one host and one on another, in a subnet with these fields.
fn plan(mode: &'static str, fields: &str) -> Plan {
    let mut plan = Plan::new()
        .network("blue", 0xB1, "", &[subnet(VSID, &["10.0.0.0/24"], fields)])
        .vm(("one", "blue"), A, VSID, &["10.0.0.5"])
        .vm(("two", "blue"), A, VSID, &["10.0.0.6"])
        .vm(("three", "blue"), B, VSID, &[FAR]);
    (plan.mode, plan.hosts) = (mode, 2);
    plan
}

/// A frame of the experiment from a VM.
fn experiment(from: &Vm, to: [u8; 6], mark: &[u8]) -> Frame {
    let mut frame = [&to[..], &from.mac(), &EXPERIMENT.to_be_bytes(), mark].concat();
    frame.resize(60, 0);
    frame
}

fn says(site: &Site, plan: &Plan, from: &str, to: [u8; 6]) -> Result<[u8; 12]> {
    let mark = mark();
    let mouth = PacketSocket::open(site.vm(from), "eth0")?;
    mouth.send(&experiment(plan.find(from), to, &mark))?;
    Ok(mark)
}

/// Where the subnet allows it, any frame goes to its MAC, on the host and across hosts.
fn crosses(name: &str, mode: &'static str) {
    let plan = plan(
        mode,
        "allowNonIP: true\nbroadcast: {mode: unicastReplication}",
    );
    proof(Site::of(name, &plan), |site| {
        let mut ears = Ears::at(site, plan.vms(), EXPERIMENT)?;
        let wire = site.wire(A)?;
        for (from, to, copies) in [("one", "three", 1), ("one", "two", 0), ("three", "one", 1)] {
            let mark = says(site, &plan, from, plan.find(to).mac())?;
            ears.only(&mark, &[to], 1)?;
            let carried = with_mark(&wire.drain()?, &mark);
            ensure!(carried.len() == copies, "{from} to {to}: {carried:x?}");
            let right = carried
                .iter()
                .all(|packet| packet.vsid == VSID && packet.bears(EXPERIMENT));
            ensure!(right, "{carried:x?}");
        }
        let mark = says(site, &plan, "one", [0xFF; 6])?;
        ears.only(&mark, &["two", "three"], 1)?;
        // A MAC of nobody's goes nowhere.
        let mark = says(site, &plan, "one", [2, 0, 0, 0, 9, 9])?;
        ping(site.vm("one"), FAR, 56)?;
        ears.only(&mark, &[], 0)?;
        ensure!(
            with_mark(&wire.drain()?, &mark).is_empty(),
            "it was carried"
        );
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn any_frame_crosses_where_it_is_allowed_with_tc_uplinks() {
    crosses("nitc", "tc");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn any_frame_crosses_where_it_is_allowed_with_xdp_uplinks() {
    crosses("nixdp", "xdp");
}

/// By default it ends at the sender's port.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_frame_that_is_not_ip_is_dropped_by_default() {
    let plan = plan("tc", "broadcast: {mode: unicastReplication}");
    proof(Site::of("nidrop", &plan), |site| {
        let mut ears = Ears::at(site, plan.vms(), EXPERIMENT)?;
        for to in [plan.find("three").mac(), plan.find("two").mac(), [0xFF; 6]] {
            let before = site.dropped(A, "blue/one", "NON_IP")?;
            let mark = says(site, &plan, "one", to)?;
            site.drops_reach(A, "blue/one", "NON_IP", before + 1)?;
            ping(site.vm("one"), FAR, 56)?;
            ears.only(&mark, &[], 0)?;
        }
        site.conserved()
    });
}

/// A sender cannot take another's MAC, whatever its frame is.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_frame_that_is_not_ip_bears_the_senders_own_mac() {
    let plan = plan("tc", "allowNonIP: true");
    proof(Site::of("nispoof", &plan), |site| {
        let (mark, before) = (mark(), site.dropped(A, "blue/one", "SPOOF_MAC")?);
        let frame = experiment(plan.find("two"), plan.find("three").mac(), &mark);
        let mut ears = Ears::at(site, plan.vms(), EXPERIMENT)?;
        PacketSocket::open(site.vm("one"), "eth0")?.send(&frame)?;
        site.drops_reach(A, "blue/one", "SPOOF_MAC", before + 1)?;
        ping(site.vm("one"), FAR, 56)?;
        ears.only(&mark, &[], 0)
    });
}

/// What becomes of a datagram with so many tags.
fn with_tags(site: &Site, plan: &Plan, tags: usize, passes: bool) -> Result<()> {
    let mouth = PacketSocket::open(site.vm("one"), "eth0")?;
    let ids = (1..=tags).map(|id| [0x81, 0, 0, id.to_le_bytes()[0]]);
    let ids: Vec<[u8; 4]> = ids.collect();
    for to in ["two", "three"] {
        let ear = PacketSocket::open(site.vm(to), "eth0")?;
        let (wire, mark) = (site.wire(A)?, mark());
        let before = site.dropped(A, "blue/one", "INNER_VLAN")?;
        let frame = tell(plan.find("one"), plan.find(to), &mark)?;
        mouth.send(&tagged(&frame, &ids))?;
        if passes {
            let came = ear.find("the datagram", |frame| carries(frame, &mark))?;
            ensure!(came == frame, "{tags} tags: it is {came:x?}");
            let carried = with_mark(&wire.drain()?, &mark);
            ensure!(
                carried.iter().all(|packet| packet.inner == frame),
                "{carried:x?}"
            );
        } else {
            site.drops_reach(A, "blue/one", "INNER_VLAN", before + 1)?;
            ping(site.vm("one"), FAR, 56)?;
            let came = ear.drain()?.into_iter().find(|frame| carries(frame, &mark));
            ensure!(came.is_none(), "{tags} tags: it came as {came:x?}");
        }
    }
    Ok(())
}

/// Up to two tags are removed where the subnet says so; more, or any where it does not, are too many.
fn tags(name: &str, fields: &str, most: usize) {
    let plan = plan("tc", fields);
    proof(Site::of(name, &plan), |site| {
        let port = site.interface(A, "blue/one")?;
        for offload in ["on", "off"] {
            for (place, device) in [(site.vm("one"), "eth0"), (site.host(A), &port)] {
                let set = [
                    "ethtool", "-K", device, "txvlan", offload, "rxvlan", offload,
                ];
                place.exec(&set)?;
            }
            for count in 0..=TAGS {
                with_tags(site, &plan, count, count <= most)?;
            }
        }
        site.conserved()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tags_are_stripped_with_and_without_vlan_offload() {
    tags("nistrip", "innerVlan: strip", 2);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tagged_frames_are_dropped_with_and_without_vlan_offload() {
    tags("nitags", "innerVlan: drop", 0);
}

/// Tags that are in the bytes of a frame, as a VM that does not offload sends them.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_service_tag_is_a_tag() {
    let plan = plan("tc", "");
    proof(Site::of("niqinq", &plan), |site| {
        let (ear, mark) = (PacketSocket::open(site.vm("three"), "eth0")?, mark());
        let frame = tell(plan.find("one"), plan.find("three"), &mark)?;
        let tags = [[0x88, 0xA8, 0, 7], [0x81, 0, 0, 8]];
        PacketSocket::open(site.vm("one"), "eth0")?.send(&tagged(&frame, &tags))?;
        let came = ear.find("the datagram", |frame| carries(frame, &mark))?;
        ensure!(came == frame, "{came:x?}");
        site.conserved()
    });
}
