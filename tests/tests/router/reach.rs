//! From one virtual subnet into another, on one host and across hosts.

use crate::{DATA, DATA_A, DATA_B, DATA_GATEWAY, WEB, WEB_A, WEB_B, WEB_GATEWAY, site};
use anyhow::{Result, ensure};
use dataplane_tests::net::{
    PacketSocket, Site,
    fabric::Family,
    hear::mark,
    outer::{contains, nvgre, with_mark},
    path::{hops, reply_ttl},
    ping,
    plan::A,
    proof, tcp, udp,
};

/// Pairs of VMs in different subnets: both here, here and there, both ways.
const PAIRS: [(&str, &str, [&str; 2]); 4] = [
    ("web-a", "data-a", DATA_A),
    ("data-a", "web-a", WEB_A),
    ("web-a", "data-b", DATA_B),
    ("data-b", "web-a", WEB_A),
];

fn between_subnets(site: &Site) -> Result<()> {
    for (from, to, address) in PAIRS {
        for family in Family::ALL {
            let (from, to, address) = (site.vm(from), site.vm(to), family.of(address));
            for size in [56, 1400] {
                ping(from, address, size)?;
            }
            tcp(from, to, address, 3_000_000)?;
            for size in [1200, 9000] {
                udp(from, to, address, size)?;
            }
        }
    }
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn subnets_reach_each_other_over_ipv4_with_tc_uplinks() {
    proof(site("rt4tc", Family::V4, "tc"), |site| {
        between_subnets(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn subnets_reach_each_other_over_ipv4_with_xdp_uplinks() {
    proof(site("rt4xdp", Family::V4, "xdp"), |site| {
        between_subnets(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn subnets_reach_each_other_over_ipv6_with_tc_uplinks() {
    proof(site("rt6tc", Family::V6, "tc"), |site| {
        between_subnets(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn subnets_reach_each_other_over_ipv6_with_xdp_uplinks() {
    proof(site("rt6xdp", Family::V6, "xdp"), |site| {
        between_subnets(site)
    });
}

/// A way, and the gateway that is the only router on it, if there is one.
type Way = (&'static str, [&'static str; 2], Option<[&'static str; 2]>);

/// Each way from each kind of VM.
const WAYS: [Way; 5] = [
    ("web-a", WEB_B, None),
    ("data-a", DATA_B, None),
    ("web-a", DATA_A, Some(WEB_GATEWAY)),
    ("web-a", DATA_B, Some(WEB_GATEWAY)),
    ("data-b", WEB_A, Some(DATA_GATEWAY)),
];

/// Between subnets there is the sender's gateway and nothing else; inside one there is nothing.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn traceroute_shows_one_hop_between_subnets_and_none_inside() {
    proof(site("rttrace", Family::V4, "tc"), |site| {
        for (from, to, gateway) in WAYS {
            for family in Family::ALL {
                let found = hops(site.vm(from), family.of(to))?;
                let wanted: Vec<&str> = gateway.map(|both| family.of(both)).into_iter().collect();
                ensure!(found == wanted, "{from} to {}: {found:?}", family.of(to));
            }
        }
        site.conserved()
    });
}

/// The reply comes with one less than it was sent with, from another subnet alone.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_ttl_is_less_by_one_between_subnets_only() {
    proof(site("rtttl", Family::V4, "tc"), |site| {
        for (from, to, gateway) in WAYS {
            for family in Family::ALL {
                let ttl = reply_ttl(site.vm(from), family.of(to))?;
                let wanted = if gateway.is_some() { 63 } else { 64 };
                ensure!(ttl == wanted, "{from} to {}: {ttl}", family.of(to));
            }
        }
        Ok(())
    });
}

/// What crosses the underlay is in the receiver's subnet already, from the gateway, to the VM.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_key_has_the_vsid_of_the_destination() {
    proof(site("rtkey", Family::V4, "tc"), |site| {
        let plan = crate::plan(Family::V4, "tc");
        let wire = site.wire(A)?;
        for (to, vsid) in [(DATA_B, DATA), (WEB_B, WEB)] {
            for family in Family::ALL {
                wire.drain()?;
                let mark = mark();
                send_mark(site, "web-a", family.of(to), &mark)?;
                let frame = wire.find("the packet", |frame| contains(frame, &mark))?;
                let packets = with_mark(&[frame], &mark);
                ensure!(
                    packets.len() == 1 && packets[0].vsid == vsid,
                    "{packets:x?}"
                );
                let inner = &packets[0].inner;
                let receiver = if vsid == DATA { "data-b" } else { "web-b" };
                ensure!(inner[..6] == plan.find(receiver).mac(), "{inner:x?}");
                let own = inner[6..12] == plan.find("web-a").mac();
                ensure!(own == (vsid == WEB), "its source is {:x?}", &inner[6..12]);
            }
        }
        Ok(())
    });
}

/// Sends a datagram with a mark in it to an address.
fn send_mark(site: &Site, from: &str, to: &str, mark: &[u8]) -> Result<()> {
    let to: std::net::IpAddr = to.parse()?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let from = site.vm(from);
    let socket = dataplane_tests::net::inside(from, || Ok(std::net::UdpSocket::bind(any)?))?;
    socket.send_to(mark, (to, 9))?;
    Ok(())
}

/// Two subnets on one host need no underlay.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn subnets_on_one_host_never_use_the_uplink() {
    proof(site("rtlocal", Family::V6, "tc"), |site| {
        let uplink = PacketSocket::open(site.host(A), "eth0")?;
        for family in Family::ALL {
            tcp(
                site.vm("web-a"),
                site.vm("data-a"),
                family.of(DATA_A),
                1_000_000,
            )?;
        }
        let sent = nvgre(&uplink.drain()?);
        ensure!(
            sent.is_empty(),
            "{} packets of NVGRE on the uplink",
            sent.len()
        );
        site.conserved()
    });
}
