//! Rules of `VMNetwork` and its virtual subnets.

use std::net::{IpAddr, Ipv4Addr};

use dataplane_common::id::Vsid;
use ipnet::{IpNet, Ipv4Net};
use uuid::Uuid;

use super::{Checker, Subject, SubnetAt};
use crate::policy::{
    document::{Envelope, Isolation, Mtu, Rule, VirtualSubnetSpec, VmNetworkSpec},
    key::Key,
    model::{Subnet, SubnetRef, VmNetwork},
};

/// "This network", loopback, multicast and reserved (RFC 1122, section 3.2.1.3).
const NOT_UNICAST: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Valid numbers for a subnet's MTU; the least is what every IPv4 host takes.
const MTU: std::ops::RangeInclusive<u16> = 576..=9000;
/// Shares of the slow path.
const SLOW_PATH_WEIGHT: std::ops::RangeInclusive<u32> = 1..=100;
/// Longest prefix with room for a gateway and a VM.
const LONGEST_PREFIX: u8 = 30;

impl<'d> Checker<'d> {
    pub(super) fn vm_network(&mut self, at: &Subject, document: &'d Envelope<VmNetworkSpec>) {
        let spec = &document.spec;
        let name = document.metadata.name.as_deref().unwrap_or_default();
        self.modes(at, spec);
        self.domain(at, spec.routing_domain_id);
        let mut subnets = Vec::new();
        let mut prefixes = Vec::new();
        for (index, subnet) in spec.virtual_subnets.iter().enumerate() {
            let path = format!("spec.virtualSubnets[{index}]");
            self.subnet_name(at, &path, &spec.virtual_subnets[..index], &subnet.name);
            self.subnet_settings(at, &path, subnet);
            for (number, prefix) in subnet.prefixes.iter().enumerate() {
                prefixes.push((*prefix, format!("{path}.prefixes[{number}]")));
            }
            let gateways = self.gateways(at, &path, subnet);
            let place = SubnetAt {
                network: name,
                rdid: spec.routing_domain_id,
                spec: subnet,
                gateways: gateways.clone(),
            };
            if let Some(vsid) = self.vsid(at, &path, place, index) {
                subnets.push(checked(subnet, vsid, gateways));
            }
        }
        self.overlaps(at, prefixes);
        let network = VmNetwork {
            rdid: spec.routing_domain_id,
            customer: spec.customer_id,
            table_mode: spec.table_mode,
            slow_path_weight: spec.slow_path_weight,
            subnets,
        };
        self.policy.networks.insert(name.to_owned(), network);
    }

    fn domain(&mut self, at: &Subject, rdid: Uuid) {
        if let Some(other) = self.domains.get(&rdid).cloned() {
            let message = format!("{rdid} is the routing domain of {other} already");
            let hint = "give each VM network a GUID of its own";
            self.fault(at, "spec.routingDomainId", message, hint);
            self.relates_to(other);
        } else {
            self.domains.insert(rdid, at.key.clone());
        }
    }

    fn modes(&mut self, at: &Subject, spec: &VmNetworkSpec) {
        if spec.isolation != Isolation::NetworkVirtualization {
            let hint = "use NetworkVirtualization";
            self.unsupported(at, "spec.isolation", "this isolation", hint);
        }
        if !SLOW_PATH_WEIGHT.contains(&spec.slow_path_weight) {
            let message = format!("slowPathWeight {} is out of range", spec.slow_path_weight);
            self.fault(at, "spec.slowPathWeight", message, "use 1 to 100");
        }
    }

    fn subnet_name(&mut self, at: &Subject, path: &str, before: &[VirtualSubnetSpec], name: &str) {
        let path = format!("{path}.name");
        self.label(at, &path, name);
        if before.iter().any(|other| other.name == name) {
            let message = format!("subnet name {name} stands twice");
            self.fault(at, path, message, "give each subnet its own name");
        }
    }

    fn subnet_settings(&mut self, at: &Subject, path: &str, subnet: &VirtualSubnetSpec) {
        self.rule(at, &format!("{path}.rule"), subnet.rule);
        if let Mtu::Bytes(bytes) = subnet.mtu
            && !MTU.contains(&bytes)
        {
            let message = format!("mtu {bytes} is out of range");
            self.fault(
                at,
                format!("{path}.mtu"),
                message,
                "use 576 to 9000, or auto",
            );
        }
        if subnet.prefixes.is_empty() {
            let hint = "add at least one, such as 10.0.0.0/24";
            self.fault(
                at,
                format!("{path}.prefixes"),
                "a subnet needs a prefix",
                hint,
            );
        }
        for (index, prefix) in subnet.prefixes.iter().enumerate() {
            self.prefix(at, format!("{path}.prefixes[{index}]"), *prefix);
        }
    }

    pub(super) fn rule(&mut self, at: &Subject, path: &str, rule: Rule) {
        if rule != Rule::TranslationMethodEncap {
            let what = format!("rule {rule:?}");
            self.unsupported(at, path, &what, "use TranslationMethodEncap");
        }
    }

    fn prefix(&mut self, at: &Subject, path: String, prefix: IpNet) {
        let IpNet::V4(v4) = prefix else {
            let what = format!("IPv6 prefix {prefix}");
            self.unsupported(at, path, &what, "use an IPv4 prefix");
            return;
        };
        if v4.trunc() != v4 {
            let message = format!("{prefix} has bits set behind its prefix length");
            self.fault(at, path, message, format!("write {}", prefix.trunc()));
        } else if v4.prefix_len() > LONGEST_PREFIX {
            let message = format!("{prefix} has no room for a gateway and a VM");
            self.fault(at, path, message, "use /30 or a shorter prefix");
        } else if let Some(special) = NOT_UNICAST
            .iter()
            .find(|s| s.contains(&v4) || v4.contains(*s))
        {
            let message = format!("{prefix} has addresses of {special}, which no VM may have");
            self.fault(at, path, message, "use a unicast prefix");
        }
    }

    /// Takes the VSID for this network; `None` when it cannot.
    fn vsid(
        &mut self,
        at: &Subject,
        path: &str,
        place: SubnetAt<'d>,
        index: usize,
    ) -> Option<Vsid> {
        let path = format!("{path}.virtualSubnetId");
        let number = place.spec.virtual_subnet_id;
        let network = place.network.to_owned();
        if let Some(other) = self.vsids.get(&number) {
            let (key, name) = (Key::VmNetwork(other.network.to_owned()), &other.spec.name);
            let message = format!("{number} is the VSID of subnet {name} of {key} already");
            self.fault(at, path, message, "give each subnet a VSID of its own");
            self.relates_to(key);
            return None;
        }
        self.vsids.insert(number, place);
        let vsid = Vsid::new(number);
        let Some(vsid) = vsid else {
            let message = format!("{number} is not a VSID that a tenant may use");
            let hint = "use 4096 to 16777214, RFC 7637 reserves the others";
            self.fault(at, path, message, hint);
            return None;
        };
        let subnet = index;
        self.policy
            .vsids
            .insert(vsid, SubnetRef { network, subnet });
        Some(vsid)
    }

    /// The subnet's gateways, each inside one of its prefixes.
    fn gateways(&mut self, at: &Subject, path: &str, subnet: &VirtualSubnetSpec) -> Vec<IpAddr> {
        if subnet.gateway.is_empty() {
            let lowest = |prefix: &IpNet| prefix.hosts().next();
            return subnet.prefixes.iter().filter_map(lowest).collect();
        }
        for (index, gateway) in subnet.gateway.iter().enumerate() {
            let path = format!("{path}.gateway[{index}]");
            if subnet.gateway[..index].contains(gateway) {
                let message = format!("{gateway} stands twice");
                self.fault(at, path, message, "remove one of the two");
            } else {
                self.customer_address(at, &path, subnet, *gateway);
            }
        }
        subnet.gateway.clone()
    }

    /// A CA that a station of the subnet may have. Returns whether it is.
    pub(super) fn customer_address(
        &mut self,
        at: &Subject,
        path: &str,
        subnet: &VirtualSubnetSpec,
        ca: IpAddr,
    ) -> bool {
        let within = subnet.prefixes.iter().find(|prefix| prefix.contains(&ca));
        let (message, hint) = if ca.is_ipv6() {
            let what = format!("IPv6 customer address {ca}");
            self.unsupported(at, path, &what, "use an IPv4 address");
            return false;
        } else if let Some(prefix) = within {
            let ends = [prefix.network(), prefix.broadcast()];
            if prefix.prefix_len() > LONGEST_PREFIX || !ends.contains(&ca) {
                return true;
            }
            let message = format!("{ca} is the first or last address of {prefix}");
            (message, "use one between them")
        } else {
            let prefixes: Vec<String> = subnet.prefixes.iter().map(IpNet::to_string).collect();
            let message = format!("{ca} is outside {}", prefixes.join(", "));
            (message, "use an address inside the subnet's prefixes")
        };
        self.fault(at, path, message, hint);
        false
    }

    /// Prefixes of one routing domain are disjoint. Sorted, a prefix can only lie
    /// inside the last one that does not lie inside another.
    fn overlaps(&mut self, at: &Subject, mut prefixes: Vec<(IpNet, String)>) {
        prefixes.retain(|(prefix, _)| prefix.trunc() == *prefix);
        prefixes.sort_by_key(|(prefix, _)| *prefix);
        let mut outer: Option<(IpNet, String)> = None;
        for (prefix, path) in prefixes {
            match &outer {
                Some((other, place)) if other.contains(&prefix) => {
                    let message = format!("{prefix} overlaps {other} of {place}");
                    let hint = "prefixes of one routing domain are disjoint";
                    self.fault(at, path, message, hint);
                }
                _ => outer = Some((prefix, path)),
            }
        }
    }
}

fn checked(subnet: &VirtualSubnetSpec, vsid: Vsid, gateways: Vec<IpAddr>) -> Subnet {
    Subnet {
        name: subnet.name.clone(),
        vsid,
        prefixes: subnet.prefixes.clone(),
        gateways,
        inner_vlan: subnet.inner_vlan,
        mtu: subnet.mtu,
    }
}
