//! TCP through the overlay (TC at both ends, offloads on) beside a bare veth.

use anyhow::{Result, ensure};
use std::process::Command;
use xtask::lab::{Netns, Nve, iperf, run, two_hosts, unique};

use crate::ratio::Pair;

const POLICY: &str = include_str!("../../examples/demo.yaml");
const PEER: &str = "10.0.0.7";
const PORT: u16 = 5201;

/// Measures `count` interleaved pairs of `seconds` each, in bits per second.
pub fn pairs(count: u32, seconds: u32) -> Result<Vec<Pair>> {
    let prefix = unique("tcp");
    let tenants = ["blue-vm1", "blue-vm2", "red-vm1", "red-vm2"];
    let topology = two_hosts(&prefix, &tenants)?;
    let policy = POLICY.replace("nvedemo", &prefix);
    let state = xtask::lab::TempDir::new("tcp")?;
    let file = state.path().join("policy.yaml");
    std::fs::write(&file, policy)?;
    let mut hosts = Vec::new();
    for host in &topology.hosts {
        let nve = Nve::start(&host.netns, host.name, "tc")?;
        for args in [
            ["apply", "-f", &file.to_string_lossy()],
            ["status", "--wait", "--brief"],
        ] {
            let said = nve.nvectl(&args)?;
            ensure!(
                said.code() == 0,
                "nvectl {args:?}: {}{}",
                said.stdout,
                said.stderr
            );
        }
        hosts.push(nve);
    }
    let bare = bare_veth(&prefix)?;
    let _overlay_server = iperf::serve(topology.tenant("blue-vm2"), PORT)?;
    let _bare_server = iperf::serve(&bare.1, PORT)?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let ours = iperf::throughput(topology.tenant("blue-vm1"), PEER, PORT, seconds)?;
        let twin = iperf::throughput(&bare.0, PEER, PORT, seconds)?;
        pairs.push(Pair { ours, twin });
    }
    Ok(pairs)
}

/// Two namespaces and nothing between them but a veth pair.
fn bare_veth(prefix: &str) -> Result<(Netns, Netns)> {
    let ends = [("bare-1", "10.0.0.5/24"), ("bare-2", "10.0.0.7/24")];
    let make = |name: &str| Netns::fresh(&format!("{prefix}-{name}"))?.without_ipv6();
    let (one, two) = (make(ends[0].0)?, make(ends[1].0)?);
    let mut link = Command::new("ip");
    link.args([
        "link",
        "add",
        "name",
        "eth0",
        "netns",
        one.name(),
        "type",
        "veth",
    ]);
    link.args(["peer", "name", "eth0", "netns", two.name()]);
    run(&mut link)?;
    for (netns, (_, address)) in [&one, &two].into_iter().zip(ends) {
        netns.exec(&["ip", "address", "add", address, "dev", "eth0"])?;
        netns.exec(&["ip", "link", "set", "eth0", "up"])?;
    }
    Ok((one, two))
}
