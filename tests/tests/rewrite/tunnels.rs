//! A VM's own tunnel: its outer checksum is complete while the kernel says that the packet's checksum
//! is only begun, for it means the one inside (`Documentation/networking/checksum-offloads.rst`, local
//! checksum offload).

use crate::{FAR, NEAR, site};
use anyhow::{Result, ensure};
use dataplane_tests::net::{Site, decode::checksums, fabric::Family, ping, plan::A, proof, tcp};
use xtask::lab::Netns;

/// The VMs' addresses inside the tunnel.
const INSIDE: [&str; 2] = ["172.31.0.1", "172.31.0.2"];

/// One end of a VXLAN tunnel, with checksums in its outer headers.
fn end(vm: &Netns, [own, far]: [&str; 2], inside: &str) -> Result<()> {
    let checksum = if own.contains(':') {
        "noudp6zerocsumtx"
    } else {
        "udpcsum"
    };
    vm.exec(&[
        "ip", "link", "add", "inner", "type", "vxlan", "id", "7", "local", own, "remote", far,
        "dstport", "4789", checksum,
    ])?;
    let network = format!("{inside}/24");
    vm.exec(&["ip", "addr", "add", &network, "dev", "inner"])?;
    vm.exec(&["ip", "link", "set", "inner", "up"])?;
    Ok(())
}

fn tunnels(site: &Site, family: Family) -> Result<()> {
    site.like_wires()?;
    let (near, far) = (site.vm("near"), site.vm("far"));
    let ends = [family.of(NEAR), family.of(FAR)];
    end(near, ends, INSIDE[0])?;
    end(far, [ends[1], ends[0]], INSIDE[1])?;
    let wire = site.wire(A)?;
    ping(near, INSIDE[1], 56)?;
    tcp(near, far, INSIDE[1], 200_000)?;
    let frames = wire.drain()?;
    let right = checksums(site, "tunnel", &frames)?;
    let [tcp, udp] = ["tcp", "udp"].map(|layer| right.get(layer).copied().unwrap_or_default());
    ensure!(tcp > 10 && udp > tcp, "{right:?}");
    site.conserved()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_vms_own_tunnel_keeps_its_checksums() {
    for (name, family, mode) in [
        ("rwtun4", Family::V4, "tc"),
        ("rwtun6", Family::V6, "tc"),
        ("rwtun4x", Family::V4, "xdp"),
    ] {
        proof(site(name, family, mode), |site| tunnels(site, family));
    }
}
