//! What the policy asks of this host's devices and addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    netdev::Inventory,
    policy::{
        Policy, PortKey,
        document::Mtu,
        model::{Host, Port, Subnet},
    },
    ports::Wanted,
};

/// The ports of a host.
pub(super) fn ours<'p>(
    policy: &'p Policy,
    host: &'p str,
) -> impl Iterator<Item = (&'p PortKey, &'p Port)> {
    policy
        .ports
        .iter()
        .filter(move |(_, port)| port.host == host)
}

/// The device of a port; `auto_mtu` fits every path.
pub(super) fn wanted(port: &Port, subnet: &Subnet, auto_mtu: u16) -> Wanted {
    let addresses = port.addresses.iter().map(|address| {
        let prefix = subnet
            .prefixes
            .iter()
            .find(|prefix| prefix.contains(address));
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let len = prefix.map_or(whole, IpNet::prefix_len);
        IpNet::new(*address, len).unwrap_or(IpNet::from(*address))
    });
    Wanted {
        attach: port.attach.clone(),
        mac: port.mac,
        addresses: addresses.collect(),
        gateways: gateways(port, subnet),
        mtu: match subnet.mtu {
            Mtu::Auto => auto_mtu,
            Mtu::Bytes(bytes) => bytes,
        },
    }
}

/// The first gateway on a link with the port, per address family.
fn gateways(port: &Port, subnet: &Subnet) -> Vec<IpAddr> {
    let on_link = |gateway: &&IpAddr| {
        subnet.prefixes.iter().any(|prefix| {
            prefix.contains(*gateway) && port.addresses.iter().any(|a| prefix.contains(a))
        })
    };
    let found = |v4: bool| {
        let mut all = subnet.gateways.iter().filter(|g| g.is_ipv4() == v4);
        all.find(on_link).copied()
    };
    found(true).into_iter().chain(found(false)).collect()
}

/// This host's PAs; says which of them no interface, or another than stated, bears.
///
/// `uplink` tells the index of an uplink by its name in the settings.
pub(super) fn own_addresses(
    host: &Host,
    seen: &Inventory,
    uplink: impl Fn(&str) -> Option<u32>,
    conditions: &mut Vec<String>,
) -> Vec<IpAddr> {
    for pa in &host.addresses {
        let mut bearers = seen.bearers(pa.address);
        let told = match &pa.interface {
            None => bearers.next().is_some(),
            Some(name) => {
                bearers.any(|bearer| bearer.name == *name || Some(bearer.ifindex) == uplink(name))
            }
        };
        if !told {
            let place = pa.interface.as_deref().unwrap_or("any interface");
            conditions.push(format!(
                "provider address {} is not on {place}; add it there (nved adds no addresses)",
                pa.address
            ));
        }
    }
    host.addresses.iter().map(|pa| pa.address).collect()
}

/// The PAs of a host.
pub(super) fn provider_addresses(policy: &Policy, host: &str) -> Vec<IpAddr> {
    let addresses = policy.hosts.get(host).map(|host| host.addresses.iter());
    let addresses = addresses.into_iter().flatten();
    addresses.map(|pa| pa.address).collect()
}
