//! What the policy asks of this host's devices and addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    netdev::Inventory,
    policy::{
        Policy, PortKey,
        document::{Attach, Mtu},
        model::{Host, PlainPort, Port, Subnet},
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

/// The ports of a host that are not virtualized.
pub(super) fn ours_plain<'p>(
    policy: &'p Policy,
    host: &'p str,
) -> impl Iterator<Item = (&'p PortKey, &'p PlainPort)> {
    let ports = policy.plain_ports.iter();
    ports.filter(move |(_, port)| port.host == host)
}

/// The devices that all ports of a host shall have.
pub(super) fn attachments<'p>(
    policy: &'p Policy,
    host: &'p str,
) -> impl Iterator<Item = (&'p PortKey, &'p Attach)> {
    let ports = ours(policy, host).map(|(key, port)| (key, &port.attach));
    ports.chain(ours_plain(policy, host).map(|(key, port)| (key, &port.attach)))
}

/// The device that a port shall have.
pub(super) fn attach_of<'p>(policy: &'p Policy, key: &PortKey) -> Option<&'p Attach> {
    let port = policy.ports.get(key).map(|port| &port.attach);
    port.or_else(|| Some(&policy.plain_ports.get(key)?.attach))
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
        of_host: false,
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
        } else if seen.is_duplicate(pa.address) {
            conditions.push(format!(
                "provider address {} is another machine's too: duplicate address detection failed; take it from one of the two",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check;

    const TWO_TENANTS: &str = include_str!("../../../tests/fixtures/policy/good/two-tenants.yaml");

    /// A port with these addresses, on a subnet of both families.
    fn device(addresses: &[&str]) -> Wanted {
        let (_, policy) = check("test.yaml", TWO_TENANTS).expect("it is good");
        let mut port = policy.ports.into_values().next().expect("a port");
        let network = policy.networks.into_values().next().expect("a network");
        let mut subnet = network.subnets.into_iter().next().expect("a subnet");
        let nets = ["10.0.0.0/24", "fd00:1::/64", "fd00:2::/48"];
        subnet.prefixes = nets.map(|net| net.parse().expect("a prefix")).into();
        let gateways = ["10.0.0.1", "fd00:2::1", "fd00:1::1"];
        subnet.gateways = gateways.map(|ip| ip.parse().expect("an address")).into();
        subnet.mtu = Mtu::Auto;
        let addresses = addresses.iter().map(|ip| ip.parse().expect("an address"));
        port.addresses = addresses.collect();
        wanted(&port, &subnet, 1438)
    }

    fn texts<T: ToString>(items: &[T]) -> Vec<String> {
        items.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_device_has_both_families_and_the_gateways_on_its_link() {
        let both = device(&["10.0.0.5", "fd00:1::5"]);
        assert_eq!(texts(&both.addresses), ["10.0.0.5/24", "fd00:1::5/64"]);
        assert_eq!(texts(&both.gateways), ["10.0.0.1", "fd00:1::1"]);
        let one = device(&["fd00:2::5"]);
        assert_eq!(texts(&one.addresses), ["fd00:2::5/48"]);
        assert_eq!(texts(&one.gateways), ["fd00:2::1"]);
    }

    #[test]
    fn a_device_whose_addresses_are_learned_gets_its_mtu_alone() {
        let learns = device(&[]);
        assert!(learns.addresses.is_empty() && learns.gateways.is_empty());
        assert_eq!(learns.mtu, 1438);
    }
}
