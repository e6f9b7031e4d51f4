//! Random packets of every kind from VM to VM: what the underlay carries and what arrives is, to the
//! byte, what RFCs say it is, and tshark says so, too.

use crate::{
    FAR, FAR_PA, NEAR, NEAR_PA,
    packets::{Ends, packets},
    plan,
    sums::{Pair, number},
};
use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    Frame, PacketSocket, SOON, Site,
    decode::checksums,
    fabric::{Family, Middle},
    plan::A,
    proof,
};
use std::{collections::BTreeMap, net::IpAddr, ops::Range};
use xtask::lab::wait_until;

/// Packets, not counting that some come in fragments.
const COUNT: u16 = 2100;
/// So many at once; then all of them have to be there.
const BATCH: u16 = 150;
const ETHERNET: usize = 14;

/// Frames of a source by number and offset.
type Seen = BTreeMap<(u16, u16), Frame>;

/// Where packets are seen, and whose they are there.
struct Place {
    name: &'static str,
    socket: PacketSocket,
    shown: Pair,
    seen: Seen,
    all: Vec<Frame>,
}

impl Place {
    fn at(name: &'static str, socket: PacketSocket, shown: Pair) -> Self {
        Self {
            name,
            socket,
            shown,
            seen: Seen::new(),
            all: Vec::new(),
        }
    }

    /// Takes what came.
    fn look(&mut self) -> Result<()> {
        for frame in self.socket.drain()? {
            if let Some(key) = number(&frame[ETHERNET..], self.shown[0]) {
                self.seen.insert(key, frame.clone());
            }
            self.all.push(frame);
        }
        Ok(())
    }

    /// Waits for the packets of these numbers; each is what it should be.
    fn takes(&mut self, numbers: Range<u16>, ends: &Ends) -> Result<()> {
        for number in numbers {
            for wanted in packets(number, ends, self.shown) {
                let key = crate::sums::number(&wanted, self.shown[0]);
                let key = key.context("it has no number")?;
                let what = format!("{key:?} at {}: {wanted:02x?}", self.name);
                wait_until(&what, SOON, || {
                    self.look()?;
                    Ok(self.seen.contains_key(&key).then_some(()))
                })?;
                let came = &self.seen[&key][ETHERNET..];
                ensure!(came == wanted, "{what}\nis {came:02x?}");
            }
        }
        Ok(())
    }
}

fn pair(from: [&str; 2], to: [&str; 2], family: Family) -> Pair {
    [from, to].map(|both| family.of(both).parse::<IpAddr>().expect("an address"))
}

fn carries_the_corpus(site: &Site, family: Family) -> Result<()> {
    site.like_wires()?;
    // What the VMs answer is complete where it is captured, too.
    for vm in ["near", "far"] {
        site.vm(vm).exec(&["ethtool", "-K", "eth0", "tx", "off"])?;
    }
    let plan = plan(family, "tc");
    let ends = Ends {
        tenants: pair(NEAR, FAR, family),
        underlay: pair(NEAR_PA, FAR_PA, family),
    };
    let mouth = PacketSocket::open(site.vm("near"), "eth0")?;
    let ear = PacketSocket::open(site.vm("far"), "eth0")?;
    let mut wire = Place::at("wire", site.wire(A)?, ends.underlay);
    let mut far = Place::at("far", ear, ends.tenants);
    let ethertype = family.of([[0x08, 0x00], [0x86, 0xDD]]);
    let macs = [plan.find("far").mac(), plan.find("near").mac()].concat();
    // What VMs say of their own accord has number 0.
    for start in (1..COUNT).step_by(BATCH.into()) {
        let batch = start..start + BATCH;
        for packet in batch.clone().flat_map(|n| packets(n, &ends, ends.tenants)) {
            mouth.send(&[&macs[..], &ethertype, &packet].concat())?;
        }
        wire.takes(batch.clone(), &ends)?;
        far.takes(batch, &ends)?;
    }
    for place in [&wire, &far] {
        let right = checksums(site, place.name, &place.all)?;
        for layer in family.of([&["ip", "tcp", "udp", "icmp"][..], &["tcp", "udp", "icmpv6"]]) {
            let count = right.get(layer).copied().unwrap_or_default();
            ensure!(count > 100, "only {count} of {layer} in {right:?}");
        }
    }
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn random_packets_are_rewritten_to_the_byte_with_tc_uplinks() {
    for (name, family) in [("rwany4", Family::V4), ("rwany6", Family::V6)] {
        let plan = plan(family, "tc").through(Middle::Bridge);
        proof(Site::of(name, &plan), |site| {
            carries_the_corpus(site, family)
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn random_packets_are_rewritten_to_the_byte_with_xdp_uplinks() {
    for (name, family) in [("rwany4x", Family::V4), ("rwany6x", Family::V6)] {
        let plan = plan(family, "xdp").through(Middle::Bridge);
        proof(Site::of(name, &plan), |site| {
            carries_the_corpus(site, family)
        });
    }
}
