//! Hosts on one underlay, and the tenants' namespaces.

use super::{Netns, run};
use anyhow::{Context, Result};

/// Room for an inner frame of 1500 bytes and the outer headers, as a fabric would be set up.
pub const UNDERLAY_MTU: &str = "1600";

const HOSTS: [(&str, &str); 2] = [("host-a", "192.0.2.1"), ("host-b", "192.0.2.2")];

/// A host: one end of the underlay, named `eth0` in its namespace.
#[derive(Debug)]
pub struct Host {
    /// The name of its Host document.
    pub name: &'static str,
    /// The provider address on `eth0`.
    pub pa: &'static str,
    /// Its namespace.
    pub netns: Netns,
}

/// Hosts, joined, and namespaces for tenants to be attached to them.
#[derive(Debug)]
pub struct Topology {
    /// `host-a`, `host-b` and so on.
    pub hosts: Vec<Host>,
    /// What stands between the hosts, where they are not joined by one cable.
    pub middle: Option<Netns>,
    /// In the order they were asked for.
    pub tenants: Vec<Netns>,
    prefix: String,
}

/// Makes the namespaces `PREFIX-host-a` with 192.0.2.1/24, `PREFIX-host-b` with 192.0.2.2/24, and
/// `PREFIX-TENANT` for each tenant.
///
/// Left-overs with these names are deleted first. IPv6 is off in all of them.
pub fn two_hosts(prefix: &str, tenants: &[&str]) -> Result<Topology> {
    let fresh = |name: &str| Netns::fresh(&format!("{prefix}-{name}"))?.without_ipv6();
    let host = |(name, pa)| {
        Ok::<_, anyhow::Error>(Host {
            name,
            pa,
            netns: fresh(name)?,
        })
    };
    let hosts = [host(HOSTS[0])?, host(HOSTS[1])?];
    cable(&hosts)?;
    let hosts = Vec::from(hosts);
    let tenants = tenants
        .iter()
        .map(|name| fresh(name))
        .collect::<Result<_>>()?;
    Ok(Topology::new(prefix, hosts, None, tenants))
}

impl Topology {
    /// Namespaces that were made elsewhere; the tenants' names are `PREFIX-TENANT`.
    pub fn new(prefix: &str, hosts: Vec<Host>, middle: Option<Netns>, tenants: Vec<Netns>) -> Self {
        Self {
            hosts,
            middle,
            tenants,
            prefix: prefix.to_owned(),
        }
    }

    /// The namespace of a tenant, by the name it was asked for with.
    ///
    /// Panics when nobody asked for it.
    pub fn tenant(&self, name: &str) -> &Netns {
        let full = format!("{}-{name}", self.prefix);
        let found = self.tenants.iter().find(|netns| netns.name() == full);
        found.unwrap_or_else(|| panic!("no tenant {name} in this topology"))
    }

    /// Keeps all namespaces when the guard goes.
    pub fn leave(self) {
        let hosts = self.hosts.into_iter().map(|host| host.netns);
        let others = self.middle.into_iter().chain(self.tenants);
        hosts.chain(others).for_each(Netns::leave);
    }
}

fn cable([a, b]: &[Host; 2]) -> Result<()> {
    let end = ["name", "eth0", "mtu", UNDERLAY_MTU];
    // From inside: older kernels (6.1 and 6.12 do) want the name to be free where the request
    // comes from too, and a machine may well have an `eth0`.
    let mut link = a.netns.command("ip");
    link.args(["link", "add"]).args(end);
    link.args(["type", "veth", "peer"]).args(end);
    link.args(["netns", b.netns.name()]);
    run(&mut link).context("cannot make the underlay")?;
    for host in [a, b] {
        host.netns.exec(&[
            "ip",
            "address",
            "add",
            &format!("{}/24", host.pa),
            "dev",
            "eth0",
        ])?;
        host.netns.exec(&["ip", "link", "set", "eth0", "up"])?;
    }
    Ok(())
}
