//! Three hosts in three networks of their own, and what stands between them.

use anyhow::{Context, Result};
use xtask::lab::{Host, Netns, Topology, UNDERLAY_MTU, run};

/// The hosts: name, the middle's end of their link, and provider address of each family.
const HOSTS: [(&str, &str, [&str; 2]); 3] = [
    ("host-a", "to-a", ["192.0.2.1", "2001:db8:a::1"]),
    ("host-b", "to-b", ["192.0.2.65", "2001:db8:b::1"]),
    ("host-c", "to-c", ["192.0.2.129", "2001:db8:c::1"]),
];

/// The router's address in each host's network, by family.
const GATEWAYS: [[&str; 2]; 3] = [
    ["192.0.2.62", "2001:db8:a::fe"],
    ["192.0.2.126", "2001:db8:b::fe"],
    ["192.0.2.190", "2001:db8:c::fe"],
];

/// The family of the provider addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// One of two things that there are by family.
    pub fn of<T: Copy>(self, [v4, v6]: [T; 2]) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }

    /// What encapsulation costs of a path's MTU.
    pub fn overhead(self) -> usize {
        self.of([42, 62])
    }

    /// The provider address of a host, by number.
    pub fn pa(self, host: usize) -> &'static str {
        self.of(HOSTS[host].2)
    }
}

/// What stands between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Middle {
    /// A router; its way to each host carries packets of so many bytes.
    Router([u16; 3]),
    /// A bridge that floods multicast: all hosts are in one network.
    Bridge,
}

impl Middle {
    /// A router, and links with room for everything.
    pub const ROUTER: Self = Self::Router([1600; 3]);
}

/// Makes the namespaces of three hosts, of what stands between them, and of the tenants.
pub(super) fn three_hosts(
    prefix: &str,
    family: Family,
    middle: Middle,
    tenants: &[(&str, bool)],
) -> Result<Topology> {
    let fresh = |name: &str| Netns::fresh(&format!("{prefix}-{name}"));
    let core = quiet(fresh("middle")?, family)?;
    match middle {
        Middle::Router(_) => forward(&core)?,
        Middle::Bridge => bridge(&core)?,
    }
    let mut hosts = Vec::new();
    for (number, (name, link, _)) in HOSTS.into_iter().enumerate() {
        let netns = quiet(fresh(name)?, family)?;
        join(&core, link, &netns)?;
        let pa = family.pa(number);
        match middle {
            Middle::Router(mtus) => routed(&core, &netns, family, (number, mtus[number]))?,
            Middle::Bridge => bridged(&core, &netns, family, number)?,
        }
        hosts.push(Host { name, pa, netns });
    }
    let tenant = |&(name, ipv6): &(&str, bool)| {
        let netns = fresh(name)?;
        if ipv6 {
            return Ok(netns);
        }
        netns.without_ipv6()
    };
    let tenants = tenants.iter().map(tenant).collect::<Result<_>>()?;
    Ok(Topology::new(prefix, hosts, Some(core), tenants))
}

/// A namespace whose kernel says nothing of its own accord: no IPv6 where the underlay has none,
/// else addresses that are usable at once and nobody's advertisements.
fn quiet(netns: Netns, family: Family) -> Result<Netns> {
    if family == Family::V4 {
        return netns.without_ipv6();
    }
    for setting in ["accept_ra", "accept_dad", "router_solicitations"] {
        for place in ["all", "default"] {
            sysctl(&netns, &format!("net/ipv6/conf/{place}/{setting}"), "0")?;
        }
    }
    Ok(netns)
}

/// Writes a setting of a namespace's kernel, by its path under /proc/sys.
pub fn sysctl(netns: &Netns, setting: &str, value: &str) -> Result<()> {
    let script = "echo \"$1\" > \"/proc/sys/$0\"";
    let written = netns.exec(&["sh", "-c", script, setting, value]);
    written.map(drop).with_context(|| setting.to_owned())
}

/// Makes a router of a namespace, one that tells of every packet that it cannot forward.
fn forward(core: &Netns) -> Result<()> {
    sysctl(core, "net/ipv4/ip_forward", "1")?;
    sysctl(core, "net/ipv6/conf/all/forwarding", "1")?;
    sysctl(core, "net/ipv4/icmp_ratelimit", "0")?;
    sysctl(core, "net/ipv6/icmp/ratelimit", "0")
}

fn bridge(core: &Netns) -> Result<()> {
    // Nobody asks for memberships here, so a bridge that listens for them would forget them.
    let kind = ["type", "bridge", "mcast_snooping", "0"];
    core.exec(
        &[
            &["ip", "link", "add", "fabric", "mtu", UNDERLAY_MTU],
            &kind[..],
        ]
        .concat(),
    )?;
    core.exec(&["ip", "link", "set", "fabric", "up"])?;
    Ok(())
}

fn join(core: &Netns, link: &str, host: &Netns) -> Result<()> {
    // Both ends from inside: see `two_hosts`.
    let mut add = core.command("ip");
    add.args(["link", "add", "name", link, "mtu", UNDERLAY_MTU]);
    add.args(["type", "veth", "peer", "name", "eth0", "mtu", UNDERLAY_MTU]);
    run(add.args(["netns", host.name()])).context("cannot make the underlay")?;
    core.exec(&["ip", "link", "set", link, "up"])?;
    host.exec(&["ip", "link", "set", "eth0", "up"])?;
    Ok(())
}

fn routed(core: &Netns, host: &Netns, family: Family, (number, mtu): (usize, u16)) -> Result<()> {
    let (_, link, _) = HOSTS[number];
    let (gateway, length) = (family.of(GATEWAYS[number]), family.of(["26", "64"]));
    address(core, link, gateway, length)?;
    address(host, "eth0", family.pa(number), length)?;
    host.exec(&["ip", "route", "add", "default", "via", gateway])?;
    set_hop(core, family, number, mtu)
}

fn bridged(core: &Netns, host: &Netns, family: Family, number: usize) -> Result<()> {
    let (_, link, _) = HOSTS[number];
    core.exec(&["ip", "link", "set", link, "master", "fabric"])?;
    address(host, "eth0", family.pa(number), family.of(["24", "32"]))
}

fn address(netns: &Netns, device: &str, address: &str, length: &str) -> Result<()> {
    let full = format!("{address}/{length}");
    let add = ["ip", "address", "add", &full, "dev", device];
    // DAD is off where there is IPv6, and the word is no fault where there is none.
    netns.exec(&[&add, &["nodad"][..]].concat())?;
    Ok(())
}

/// What the router takes to be the MTU of its way to a host; the links themselves carry more.
pub fn set_hop(core: &Netns, family: Family, host: usize, mtu: u16) -> Result<()> {
    set_way(core, family.pa(host), host, mtu)
}

/// The same of its way to another address behind a host.
pub fn set_way(core: &Netns, to: &str, host: usize, mtu: u16) -> Result<()> {
    let way = ["ip", "route", "replace", to, "dev", link_to(host)];
    core.exec(&[&way[..], &["mtu", &mtu.to_string()]].concat())?;
    Ok(())
}

/// The name of the middle's end of the link to a host.
pub fn link_to(host: usize) -> &'static str {
    HOSTS[host].1
}
