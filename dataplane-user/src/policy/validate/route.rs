//! Rules of `CustomerRoute`.

use std::net::IpAddr;

use dataplane_common::id::Vsid;
use ipnet::IpNet;

use super::{Checker, Subject, address::special};
use crate::policy::{
    document::{CustomerRouteSpec, Envelope, Rule, VirtualSubnetSpec},
    key::Key,
    model::{CustomerRoute, Family},
};

/// What one route at most may say: for a VM network, the subnet whose VMs take it (`None`: all
/// of them, through the distributed router), a prefix and a metric.
pub(super) type Choice<'d> = (&'d str, Option<u32>, IpNet, u16);

impl<'d> Checker<'d> {
    pub(super) fn customer_route(
        &mut self,
        at: &Subject,
        document: &'d Envelope<CustomerRouteSpec>,
    ) {
        let spec = &document.spec;
        let network = document.metadata.vm_network.as_deref().unwrap_or_default();
        let subnet = self.subnet(at, network, spec.virtual_subnet_id);
        if self.no_host_bits(at, "spec.destinationPrefix", spec.destination_prefix) {
            self.destination(at, network, spec.destination_prefix);
        }
        if let Some(subnet) = subnet {
            self.next_hop(at, (network, subnet), spec);
            self.sole_choice(at, network, spec);
        }
        if let (Some(vsid), Key::CustomerRoute(network, name)) =
            (Vsid::new(spec.virtual_subnet_id), &at.key)
        {
            let route = CustomerRoute {
                vsid,
                prefix: spec.destination_prefix,
                next_hop: spec.next_hop,
                metric: spec.metric,
            };
            let key = (network.clone(), name.clone());
            self.policy.routes.insert(key, route);
        }
    }

    /// The destination is what no lookup record can be for, unless an external router has it.
    fn destination(&mut self, at: &Subject, network: &'d str, prefix: IpNet) {
        let path = "spec.destinationPrefix";
        if let Some(special) = special(&prefix)
            && special.contains(&prefix)
        {
            let message = format!("{prefix} is in {special}, which is not routed");
            self.fault(at, path, message, "use a unicast prefix");
            return;
        }
        let known = self.policy.networks.get(network);
        if !known.is_some_and(|network| network.distributed_router) {
            return;
        }
        // Prefixes of a network are disjoint: only the last that begins before can hold this one.
        let below = self.prefixes.range(..=(network, prefix)).next_back();
        if let Some((owner, outer)) = below.copied()
            && owner == network
            && outer.contains(&prefix)
        {
            let message = format!("{prefix} is in {outer}, a prefix of vmnetwork/{network}");
            let hint = "remove the route, or set distributedRouter: false";
            self.fault(at, path, message, hint);
            self.relates_to(Key::VmNetwork(network.to_owned()));
        }
    }

    fn next_hop(
        &mut self,
        at: &Subject,
        (network, subnet): (&'d str, &VirtualSubnetSpec),
        spec: &CustomerRouteSpec,
    ) {
        let (path, next_hop): (_, IpAddr) = ("spec.nextHop", spec.next_hop);
        let prefix = spec.destination_prefix;
        if Family::from(next_hop) != Family::from(prefix.addr()) {
            let message = format!("{next_hop} is not of the address family of {prefix}");
            self.fault(at, path, message, "use a next hop of the prefix's family");
            return;
        }
        if self.customer_address(at, path, subnet, next_hop) {
            if !self.is_routers(subnet, next_hop) {
                return self.rewritten_next_hop(at, network, next_hop);
            }
            let message = format!("{next_hop} is the gateway that hosts answer for");
            let hint = "use the address of the router behind it, or set distributedRouter: false";
            self.fault(at, path, message, hint);
        }
        self.relates_to(Key::VmNetwork(network.to_owned()));
    }

    /// A packet that is rewritten for a next hop would arrive as one for the next hop itself.
    fn rewritten_next_hop(&mut self, at: &Subject, network: &str, next_hop: IpAddr) {
        let Some(station) = self.ends.addresses.get(&(network, next_hop)).cloned() else {
            return;
        };
        if self.rule_at(&station) != Some(Rule::TranslationMethodNat) {
            return;
        }
        let message = format!(
            "{next_hop} of {station} has rule TranslationMethodNat and takes packets for itself only"
        );
        let hint = "use a next hop with rule TranslationMethodEncap";
        self.fault(at, "spec.nextHop", message, hint);
        self.relates_to(station);
        self.relates_to(Key::VmNetwork(network.to_owned()));
    }

    /// Of two routes to the same prefix the metric chooses.
    fn sole_choice(&mut self, at: &Subject, network: &'d str, spec: &CustomerRouteSpec) {
        let known = self.policy.networks.get(network);
        let shared = known.is_none_or(|network| network.distributed_router);
        let scope = (!shared).then_some(spec.virtual_subnet_id);
        let (prefix, metric) = (spec.destination_prefix, spec.metric);
        let choice = (network, scope, prefix, metric);
        if let Some(other) = self.routes.get(&choice).cloned() {
            let message = format!("{other} is to {prefix} with metric {metric} already");
            self.fault(at, "spec.metric", message, "give each route its own metric");
            self.relates_to(other);
        } else {
            self.routes.insert(choice, at.key.clone());
        }
    }
}
