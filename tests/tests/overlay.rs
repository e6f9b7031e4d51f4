//! Two tenants with the same addresses on the same two hosts, over real NVGRE.

use anyhow::{Result, ensure};
use dataplane_tests::net::{Frame, PacketSocket, Site, ping, proof, tcp, udp};

const A: &str = "10.0.0.5";
const B: &str = "10.0.0.7";
const TENANTS: [(&str, u32); 2] = [("blue", 6001), ("red", 7001)];

/// 1600 on the underlay, 42 for the outer headers, 28 for IP and ICMP of the ping itself.
const LARGEST_PING: u16 = 1600 - 42 - 28;

/// Every kind of traffic in both tenants and both directions; then the books balance.
fn carries_everything(site: &Site) -> Result<()> {
    for (tenant, _) in TENANTS {
        let near = site.vm(&format!("{tenant}-vm1"));
        let far = site.vm(&format!("{tenant}-vm2"));
        for (from, to, address) in [(near, far, B), (far, near, A)] {
            for size in [56, 1472, LARGEST_PING] {
                ping(from, address, size)?;
            }
            tcp(from, to, address, 3_000_000)?;
            for size in [0, 1472, 9000, 60_000] {
                udp(from, to, address, size)?;
            }
        }
    }
    for host in [0, 1] {
        for (tenant, _) in TENANTS {
            let port = format!("{tenant}/{tenant}-vm{}", host + 1);
            for counter in ["egress_encapped", "ingress_delivered"] {
                let count = site.counter(host, &port, counter)?;
                ensure!(count > 30, "only {count} {counter} of {port}");
            }
        }
    }
    site.conserved()
}

fn mode(site: &Site, host: usize) -> Result<String> {
    let status = site.ask(host, &["status"])?;
    Ok(status["uplinks"][0]["mode"]
        .as_str()
        .unwrap_or("?")
        .to_owned())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_tenants_talk_with_tc_uplinks() {
    proof(Site::up("ovtc", "tc"), |site| {
        ensure!(mode(site, 0)? == "tc");
        carries_everything(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn both_tenants_talk_with_xdp_uplinks() {
    proof(Site::up("ovxdp", "xdp"), |site| {
        ensure!(mode(site, 0)? == "xdp+tc");
        site.like_wires()?;
        carries_everything(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn auto_takes_tc_on_a_veth() {
    proof(Site::up("ovauto", "auto"), |site| {
        ensure!(mode(site, 1)? == "tc", "auto took {}", mode(site, 1)?);
        ping(site.vm("red-vm2"), A, 56)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_ping_larger_than_the_tenant_mtu_is_refused_by_the_sender() {
    proof(Site::up("ovmtu", "tc"), |site| {
        let refused = ping(site.vm("blue-vm1"), B, LARGEST_PING + 1);
        let told = format!(
            "{:#}",
            refused.expect_err("a packet of 1559 bytes went out")
        );
        ensure!(
            told.contains("mtu=1558") || told.contains("too long"),
            "{told}"
        );
        ping(site.vm("blue-vm1"), B, LARGEST_PING)
    });
}

type Packet<'f> = (&'f [u8], &'f [u8], u32, &'f [u8]);

/// The GRE packets among frames: outer source, outer destination, VSID, inner frame.
fn nvgre(frames: &[Frame]) -> Vec<Packet<'_>> {
    let gre = |frame: &&Frame| {
        frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&47) && frame.len() >= 56
    };
    let read = |frame: &Frame| frame[38..42].try_into().map_or(0, u32::from_be_bytes) >> 8;
    let parts = frames.iter().filter(gre);
    parts
        .map(|frame| (&frame[26..30], &frame[30..34], read(frame), &frame[42..]))
        .collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_peer_sees_nvgre_with_the_tenants_vsid() {
    proof(Site::up("ovwire", "tc"), |site| {
        let peer = PacketSocket::open(site.host(1), "eth0")?;
        for (tenant, vsid) in TENANTS {
            peer.drain()?;
            tcp(
                site.vm(&format!("{tenant}-vm1")),
                site.vm(&format!("{tenant}-vm2")),
                B,
                100_000,
            )?;
            let frames = peer.drain()?;
            let packets = nvgre(&frames);
            ensure!(packets.len() > 4, "only {} packets seen", packets.len());
            for frame in frames.iter().filter(|frame| frame.get(23) == Some(&47)) {
                let word = &frame[34..38];
                ensure!(word == [0x20, 0, 0x65, 0x58], "the GRE word is {word:x?}");
                ensure!(frame[20] & 0x40 != 0, "DF is not set");
                ensure!(frame[22] == 64, "the outer TTL is {}", frame[22]);
            }
            let mut ways = [0; 2];
            for (from, to, key, inner) in packets {
                ensure!(key == vsid, "VSID {key} in a packet of {tenant}");
                ensure!(
                    inner[12..14] == [8, 0] || inner[12..14] == [8, 6],
                    "inner {inner:x?}"
                );
                let there = from == [192, 0, 2, 1] && to == [192, 0, 2, 2];
                let back = from == [192, 0, 2, 2] && to == [192, 0, 2, 1];
                ensure!(there || back, "from {from:?} to {to:?}");
                ways[usize::from(back)] += 1;
            }
            ensure!(
                ways[0] > 0 && ways[1] > 0,
                "packets there and back: {ways:?}"
            );
        }
        Ok(())
    });
}
