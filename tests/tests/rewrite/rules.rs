//! Rules of ports and records, and what cannot be rewritten.

use crate::subnets::{ENC_B, MIX_A, MIX_B, STATION, STATION_PA, WEB_A_PA, WEB_B, everywhere};
use anyhow::{Result, ensure};
use dataplane_common::id::Mac;
use dataplane_tests::{
    net::{
        Frame, PacketSocket, SOON, Site,
        fabric::Family,
        hear::{call, mark, tell},
        inside,
        outer::contains,
        ping,
        plan::{A, C},
        tcp,
    },
    packet::{eth, patch, patch_ip},
};
use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
};

/// Encapsulated and rewritten VMs of one subnet, each with its own kind.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn rules_of_ports_and_records_decide_and_do_not_mix() {
    everywhere("rwrules", |site, plan, family| {
        tcp(
            site.vm("enc-a"),
            site.vm("enc-b"),
            family.of(ENC_B),
            500_000,
        )?;
        tcp(
            site.vm("mix-a"),
            site.vm("mix-b"),
            family.of(MIX_B),
            500_000,
        )?;
        for (from, to) in [("mix-a", "enc-b"), ("enc-a", "mix-b"), ("enc-a", "web-b")] {
            let (sender, receiver) = (plan.find(from), plan.find(to));
            ends_as(
                site,
                from,
                &tell(sender, receiver, &mark())?,
                "RULE_MISMATCH",
            )?;
        }
        site.conserved()
    });
}

/// A machine of the underlay is a station of the VM network by a record alone.
#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_record_makes_a_station_of_a_plain_host() {
    everywhere("rwrecord", |site, _, family| {
        let to = family.of(STATION);
        ping(site.vm("mix-a"), to, 1200)?;
        ping(site.vm("web-a"), to, 56)?;
        tcp_by_pa(site, family)?;
        site.conserved()
    });
}

/// TCP of a VM to the station's CA, which the station takes at its PA.
fn tcp_by_pa(site: &Site, family: Family) -> Result<()> {
    let pa: IpAddr = family.of(STATION_PA).parse()?;
    let listener = inside(site.host(C), || Ok(TcpListener::bind((pa, 0))?))?;
    let port = listener.local_addr()?.port();
    let to: IpAddr = family.of(STATION).parse()?;
    let mut client = inside(site.vm("mix-a"), || {
        Ok(TcpStream::connect_timeout(&(to, port).into(), SOON)?)
    })?;
    let (mut server, from) = listener.accept()?;
    ensure!(from.ip() != family.of(MIX_A).parse::<IpAddr>()?, "{from}");
    client.write_all(b"to a station")?;
    server.set_read_timeout(Some(SOON))?;
    let mut came = [0; 12];
    server.read_exact(&mut came)?;
    ensure!(&came == b"to a station", "{came:?}");
    Ok(())
}

/// Sends a frame of a VM of `host-a` a few times; each is counted under the reason.
fn ends_as(site: &Site, vm: &str, frame: &[u8], reason: &str) -> Result<()> {
    let port = format!("blue/{vm}");
    let before = site.dropped(A, &port, reason)?;
    let mouth = PacketSocket::open(site.vm(vm), "eth0")?;
    let wire = site.wire(A)?;
    for _ in 0..3 {
        mouth.send(frame)?;
    }
    site.drops_reach(A, &port, reason, before + 3)?;
    let payload = &frame[frame.len() - 12..];
    let sent = wire
        .drain()?
        .into_iter()
        .find(|seen| contains(seen, payload));
    ensure!(sent.is_none(), "{reason} was sent: {sent:x?}");
    Ok(())
}

/// The frame of a VM in the name of another address.
fn in_the_name_of(frame: &[u8], address: &str) -> Result<Frame> {
    Ok(match address.parse()? {
        IpAddr::V4(ip) => patch_ip(frame, 26, &ip.octets()),
        IpAddr::V6(ip) => patch(frame, 22, &ip.octets()),
    })
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_cannot_be_rewritten_is_counted_and_not_sent() {
    everywhere("rwnot", |site, plan, family| {
        let (web, mix) = (plan.find("web-a"), plan.find("mix-a"));
        let right = tell(web, plan.find("web-b"), &mark())?;
        for address in [WEB_B, WEB_A_PA, MIX_A] {
            let forged = in_the_name_of(&right, family.of(address))?;
            ends_as(site, "web-a", &forged, "SPOOF_CA")?;
        }
        let group = family.of(["239.9.9.9", "ff02::9"]);
        for vm in [web, mix] {
            ends_as(
                site,
                &vm.name,
                &call(vm, group, &mark())?,
                "NAT_NOT_CARRIED",
            )?;
        }
        let all = patch(&right, 0, &[0xFF; 6]);
        ends_as(site, "web-a", &all, "NAT_NOT_CARRIED")?;
        let own = |to: [u8; 6]| [eth(Mac(to), Mac(mix.mac()), 0x88B5), mark().to_vec()].concat();
        let peer = plan.find("mix-b").mac();
        ends_as(site, "mix-a", &own(peer), "NAT_NOT_CARRIED")?;
        ends_as(site, "mix-a", &own([0xFF; 6]), "NAT_NOT_CARRIED")?;
        site.conserved()
    });
}
