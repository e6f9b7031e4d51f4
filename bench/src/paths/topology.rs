//! The namespaces and cables that all paths have in common.
//!
//! ```text
//!  tenant-a              host-a                    host-b              tenant-b
//!  10.0.0.5 a0 ------- a1  eth0 192.0.2.1 ---- 192.0.2.2 eth0  b1 ------- b0 10.64.0.1
//! ```
//!
//! On one host, `b1` is in `host-a` too, and `host-b` has nothing but its end of the underlay.
//! Key `k` of a tenant's frame is the address [`key_address`] of `k`; all of them live at `tenant-b`.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context, Result};
use dataplane_common::id::Mac;
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};
use xtask::lab::{Netns, run, unique};

pub use xtask::lab::{enter, enter_file, inside};

/// Address of `tenant-a`, without its prefix length of 8.
pub const TENANT_A: &str = "10.0.0.5";
/// Address of `tenant-b`: the one of key 0.
pub const TENANT_B: &str = "10.64.0.1";
/// Address of `host-a` in the underlay, prefix length 24.
pub const HOST_A: &str = "192.0.2.1";
/// Address of `host-b` in the underlay, prefix length 24.
pub const HOST_B: &str = "192.0.2.2";
/// The value of key 0, host order.
pub const FIRST_KEY: u32 = 0x0A40_0001;
/// PA of the CA of key 0, host order, where each CA has one of its own.
pub const FIRST_PA: u32 = 0xC612_0001;
/// PA of the CA of `tenant-a`, above all of keys.
pub const PA_A: [u8; 4] = [198, 19, 255, 5];
/// PA of the one address of `tenant-b` that is none of keys.
pub const PA_B: [u8; 4] = [198, 19, 255, 7];
/// MAC of `a0`.
pub const MAC_A: Mac = Mac([2, 0, 0, 0, 0, 5]);
/// MAC of `b0`.
pub const MAC_B: Mac = Mac([2, 0, 0, 0, 0, 7]);
/// MAC of `eth0` of `host-a`.
pub const MAC_HOST_A: Mac = Mac([2, 0, 0, 0, 1, 1]);
/// MAC of `eth0` of `host-b`.
pub const MAC_HOST_B: Mac = Mac([2, 0, 0, 0, 1, 2]);
/// MTU of tenants' devices, bytes.
pub const TENANT_MTU: u16 = 1500;
/// MTU of the underlay, bytes: room for a tenant's packet and the outer headers.
pub const UNDERLAY_MTU: u16 = 1600;

/// The address that key `key` stands for.
pub const fn key_address(key: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_KEY.wrapping_add(key))
}

/// The namespaces.
pub struct Topology {
    /// Has `a0`.
    pub tenant_a: Netns,
    /// Has `a1` and `eth0`; on one host, `b1` too.
    pub host_a: Netns,
    /// Has `eth0`, and `b1` unless all is on one host.
    pub host_b: Netns,
    /// Has `b0`.
    pub tenant_b: Netns,
}

/// Whether the tenants are on two hosts or on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// `b1` is in `host-a`.
    One,
    /// `b1` is in `host-b`.
    Two,
}

impl Topology {
    /// Makes all of it with names of its own and `queues` receive and transmit queues on each device; everything
    /// is up, neighbours are static, IPv6 is off.
    pub fn new(hosts: Hosts, queues: u32) -> Result<Self> {
        let prefix = unique("bench");
        let fresh = |name: &str| Netns::fresh(&format!("{prefix}-{name}"))?.without_ipv6();
        let topology = Self {
            tenant_a: fresh("tenant-a")?,
            host_a: fresh("host-a")?,
            host_b: fresh("host-b")?,
            tenant_b: fresh("tenant-b")?,
        };
        topology.cable(hosts, queues)?;
        topology.address()?;
        Ok(topology)
    }

    fn cable(&self, hosts: Hosts, queues: u32) -> Result<()> {
        let host_of_b = match hosts {
            Hosts::One => &self.host_a,
            Hosts::Two => &self.host_b,
        };
        let end = |netns, device, mac| End { netns, device, mac };
        let port = |last| Mac([2, 0, 0, 0, 2, last]);
        Cable {
            ends: [
                end(&self.tenant_a, "a0", MAC_A),
                end(&self.host_a, "a1", port(5)),
            ],
            mtu: TENANT_MTU,
            queues,
        }
        .lay()?;
        Cable {
            ends: [
                end(&self.host_a, "eth0", MAC_HOST_A),
                end(&self.host_b, "eth0", MAC_HOST_B),
            ],
            mtu: UNDERLAY_MTU,
            queues,
        }
        .lay()?;
        Cable {
            ends: [
                end(&self.tenant_b, "b0", MAC_B),
                end(host_of_b, "b1", port(7)),
            ],
            mtu: TENANT_MTU,
            queues,
        }
        .lay()
    }

    fn address(&self) -> Result<()> {
        let host = |netns, address: &str, other, mac| {
            give(netns, "eth0", &format!("{address}/24"))?;
            know(netns, "eth0", other, mac)
        };
        let tenant = |netns, device, address: &str, other, mac| {
            give(netns, device, &format!("{address}/8"))?;
            know(netns, device, other, mac)
        };
        host(&self.host_a, HOST_A, HOST_B, MAC_HOST_B)?;
        host(&self.host_b, HOST_B, HOST_A, MAC_HOST_A)?;
        tenant(&self.tenant_a, "a0", TENANT_A, TENANT_B, MAC_B)?;
        tenant(&self.tenant_b, "b0", TENANT_B, TENANT_A, MAC_A)
    }
}

/// One end of a cable.
pub struct End<'a> {
    /// Its namespace.
    pub netns: &'a Netns,
    /// Its name there.
    pub device: &'a str,
    /// Its MAC.
    pub mac: Mac,
}

/// A veth pair.
pub struct Cable<'a> {
    /// Both ends.
    pub ends: [End<'a>; 2],
    /// MTU of both, bytes.
    pub mtu: u16,
    /// Receive queues and transmit queues of each.
    pub queues: u32,
}

impl Cable<'_> {
    /// Makes the pair and sets both ends up.
    pub fn lay(&self) -> Result<()> {
        let [one, two] = &self.ends;
        let mut link = Command::new("ip");
        link.args(["link", "add"]).args(self.words(one));
        link.args(["type", "veth", "peer"]).args(self.words(two));
        run(&mut link).with_context(|| format!("cannot make {}-{}", one.device, two.device))?;
        for end in &self.ends {
            end.netns.exec(&["ip", "link", "set", end.device, "up"])?;
        }
        Ok(())
    }

    fn words(&self, end: &End<'_>) -> Vec<String> {
        let (mac, mtu, queues) = (end.mac.to_string(), self.mtu, self.queues);
        let words = format!(
            "name {} address {mac} mtu {mtu} numrxqueues {queues} numtxqueues {queues} netns {}",
            end.device,
            end.netns.name(),
        );
        words.split(' ').map(str::to_owned).collect()
    }
}

/// Gives a device an address, with its prefix length.
pub fn give(netns: &Netns, device: &str, address: &str) -> Result<()> {
    netns.exec(&["ip", "address", "add", address, "dev", device])?;
    Ok(())
}

/// Makes a permanent neighbour entry.
pub fn know(netns: &Netns, device: &str, address: &str, mac: Mac) -> Result<()> {
    let mac = mac.to_string();
    netns.exec(&[
        "ip",
        "neigh",
        "replace",
        address,
        "lladdr",
        &mac,
        "nud",
        "permanent",
        "dev",
        device,
    ])?;
    Ok(())
}

/// Lets a veth take frames that are redirected into its other end: a veth without a program of its
/// own drops them unless GRO is on.
pub fn take_frames(netns: &Netns, device: &str) -> Result<()> {
    netns.exec(&["ethtool", "-K", device, "gro", "on"])?;
    Ok(())
}

/// Index of a device.
pub fn ifindex(netns: &Netns, device: &str) -> Result<u32> {
    inside(netns, || {
        let asker = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        name_to_index(&asker, device).with_context(|| format!("no interface {device}"))
    })
}
