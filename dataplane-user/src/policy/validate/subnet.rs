//! Rules of virtual subnets.

use std::{collections::HashSet, net::IpAddr};

use dataplane_common::id::Vsid;
use ipnet::IpNet;
use uuid::Uuid;

use super::{Checker, Subject, SubnetAt};
use crate::policy::{
    document::{BroadcastMode, BroadcastSpec, Mtu, VirtualSubnetSpec, VmNetworkSpec},
    key::Key,
    model::{Broadcast, Subnet, SubnetRef},
};

/// Valid numbers for a subnet's MTU; the least is what every IPv4 host takes.
const MTU: std::ops::RangeInclusive<u16> = 576..=9000;
/// The least MTU of a link with IPv6 (RFC 8200, section 5).
const IPV6_MTU: u16 = 1280;

impl<'d> Checker<'d> {
    /// The subnets of a VM network with this name and routing domain.
    pub(super) fn subnets(
        &mut self,
        at: &Subject,
        (network, rdid): (&'d str, Uuid),
        spec: &'d VmNetworkSpec,
    ) -> Vec<Subnet> {
        let mut subnets = Vec::new();
        let mut prefixes = Vec::new();
        let mut names = HashSet::new();
        for (index, subnet) in spec.virtual_subnets.iter().enumerate() {
            let path = format!("spec.virtualSubnets[{index}]");
            self.subnet_name(at, &path, &mut names, &subnet.name);
            self.subnet_prefixes(at, &path, subnet);
            self.subnet_settings(at, &path, subnet);
            let broadcast = self.broadcast(at, &format!("{path}.broadcast"), subnet.broadcast);
            self.router_advertisement(at, &path, (spec, subnet));
            for (number, prefix) in subnet.prefixes.iter().enumerate() {
                prefixes.push((*prefix, format!("{path}.prefixes[{number}]")));
                self.prefixes.insert((network, *prefix));
            }
            let gateways = self.gateways(at, &path, subnet);
            let place = SubnetAt {
                network,
                rdid,
                distributed_router: spec.distributed_router,
                spec: subnet,
                gateways: gateways.clone(),
            };
            if let Some(vsid) = self.vsid(at, &path, place, index) {
                subnets.push(checked(subnet, vsid, gateways, broadcast));
            }
        }
        self.overlaps(at, prefixes);
        subnets
    }

    fn subnet_name(
        &mut self,
        at: &Subject,
        path: &str,
        before: &mut HashSet<&'d str>,
        name: &'d str,
    ) {
        let path = format!("{path}.name");
        self.label(at, &path, name);
        if !before.insert(name) {
            let message = format!("subnet name {name} stands twice");
            self.fault(at, path, message, "give each subnet its own name");
        }
    }

    fn subnet_prefixes(&mut self, at: &Subject, path: &str, subnet: &VirtualSubnetSpec) {
        let path = format!("{path}.prefixes");
        if subnet.prefixes.is_empty() {
            let hint = "add at least one, such as 10.0.0.0/24";
            self.fault(at, &path, "a subnet needs a prefix", hint);
        }
        for (index, prefix) in subnet.prefixes.iter().enumerate() {
            self.prefix(at, format!("{path}[{index}]"), *prefix);
        }
    }

    fn subnet_settings(&mut self, at: &Subject, path: &str, subnet: &VirtualSubnetSpec) {
        self.rewriting_subnet(at, path, subnet);
        let Mtu::Bytes(bytes) = subnet.mtu else {
            return;
        };
        let (message, hint) = if !MTU.contains(&bytes) {
            let message = format!("mtu {bytes} is out of range");
            (message, "use 576 to 9000, or auto")
        } else if bytes < IPV6_MTU && has_ipv6(subnet) {
            let message = format!("mtu {bytes} is too small for IPv6");
            (message, "use 1280 or more, or auto")
        } else {
            return;
        };
        self.fault(at, format!("{path}.mtu"), message, hint);
    }

    fn broadcast(&mut self, at: &Subject, path: &str, spec: BroadcastSpec) -> Broadcast {
        match (spec.mode, spec.group) {
            (BroadcastMode::None, None) => Broadcast::None,
            (BroadcastMode::UnicastReplication, None) => Broadcast::UnicastReplication,
            (BroadcastMode::Multicast, Some(group)) => {
                self.provider_group(at, &format!("{path}.group"), group);
                Broadcast::Multicast(group)
            }
            (BroadcastMode::Multicast, None) => {
                let message = "broadcast mode multicast needs a group";
                let hint = "add group, a multicast address of the underlay such as 239.1.1.1";
                self.fault(at, path, message, hint);
                Broadcast::None
            }
            (BroadcastMode::None | BroadcastMode::UnicastReplication, Some(group)) => {
                let message = format!("group {group} is of no use without mode multicast");
                let hint = "remove it, or use mode multicast";
                self.fault(at, format!("{path}.group"), message, hint);
                Broadcast::None
            }
        }
    }

    fn router_advertisement(
        &mut self,
        at: &Subject,
        path: &str,
        (network, subnet): (&VmNetworkSpec, &VirtualSubnetSpec),
    ) {
        if !subnet.router_advertisement {
            return;
        }
        let (message, hint) = if !has_ipv6(subnet) {
            let message = "router advertisements need an IPv6 prefix";
            (message, "add one, or remove routerAdvertisement")
        } else if !network.distributed_router {
            let message = "there is no router to advertise with distributedRouter: false";
            (message, "remove one of the two")
        } else {
            return;
        };
        self.fault(at, format!("{path}.routerAdvertisement"), message, hint);
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
}

/// The lowest address that a host of a prefix may have; the one before is the prefix's own.
fn lowest(prefix: &IpNet) -> Option<IpAddr> {
    let network = prefix.network();
    prefix.hosts().find(|address| *address != network)
}

fn has_ipv6(subnet: &VirtualSubnetSpec) -> bool {
    let mut prefixes = subnet.prefixes.iter();
    prefixes.any(|prefix| matches!(prefix, IpNet::V6(_)))
}

fn checked(
    subnet: &VirtualSubnetSpec,
    vsid: Vsid,
    gateways: Vec<IpAddr>,
    broadcast: Broadcast,
) -> Subnet {
    Subnet {
        name: subnet.name.clone(),
        vsid,
        prefixes: subnet.prefixes.clone(),
        gateways,
        rule: subnet.rule,
        inner_vlan: subnet.inner_vlan,
        mtu: subnet.mtu,
        broadcast,
        non_ip: subnet.allow_non_ip,
        router_advertisement: subnet.router_advertisement,
    }
}
