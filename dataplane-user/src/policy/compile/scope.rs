//! What of the policy concerns a host.

use std::{collections::BTreeSet, net::IpAddr};

use dataplane_common::id::{Mac, Vsid};
use uuid::Uuid;

use crate::policy::{
    document::{RecordType, Rule},
    model::{Broadcast, Policy, derived_records},
};

/// What of the policy concerns a host.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The host's PAs, in the document's order.
    pub own: Vec<IpAddr>,
    /// The PAs that CAs of ports on the host have of their own.
    pub rewritten: BTreeSet<IpAddr>,
    /// Routing domains with a port on the host, attached or not.
    pub domains: BTreeSet<Uuid>,
    /// Virtual subnets with a port on the host.
    pub subnets: BTreeSet<Vsid>,
    /// Virtual subnets with stations whose CAs nobody states.
    pub unknown_cas: BTreeSet<Vsid>,
    /// Multicast PAs that the host takes part in.
    pub joined: BTreeSet<IpAddr>,
    /// All PAs whose next hops the host needs: its own, those of records of its routing domains, and
    /// multicast PAs.
    pub pas: BTreeSet<IpAddr>,
}

impl Scope {
    /// Of a host.
    pub fn of(policy: &Policy, host: &str) -> Self {
        let mut scope = Self {
            own: own_addresses(policy, host),
            domains: domains_in_use(policy, host),
            unknown_cas: unknown_cas(policy),
            ..Self::default()
        };
        let ports = policy.ports.values().filter(|port| port.host == host);
        scope.rewritten = ports
            .clone()
            .flat_map(|port| &port.own_pas)
            .copied()
            .collect();
        scope.subnets = ports.map(|port| port.vsid).collect();
        scope.joined = joined(policy, &scope.subnets);
        let in_use = |vsid| {
            let subnet = policy.subnet(vsid);
            subnet.is_some_and(|(network, _)| scope.domains.contains(&network.rdid))
        };
        let used = places(policy).filter(|(vsid, ..)| in_use(*vsid));
        scope.pas = used.map(|(_, pa, _)| pa).collect();
        scope.pas.extend(&scope.own);
        scope.pas.extend(&scope.joined);
        scope
    }

    /// Whether the PA is one of the host's, or of a port's on it.
    pub fn is_here(&self, pa: IpAddr) -> bool {
        self.own.contains(&pa) || self.rewritten.contains(&pa)
    }
}

/// Whoever has a MAC in a virtual subnet, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Station {
    pub(super) vsid: Vsid,
    pub(super) mac: Mac,
    pub(super) pa: IpAddr,
    pub(super) rule: Rule,
    /// Nobody states its CAs.
    pub(super) l2_only: bool,
}

/// All stations of some subnets, stated and of ports; one may come several times.
pub(super) fn stations(
    policy: &Policy,
    wanted: impl Fn(Vsid) -> bool,
) -> impl Iterator<Item = Station> {
    let subnets = policy.records.subnets().filter_map(Vsid::new);
    let subnets: Vec<Vsid> = subnets.filter(|vsid| wanted(*vsid)).collect();
    let stated = subnets.into_iter().flat_map(|vsid| policy.stated_in(vsid));
    let stated = stated.map(|r| station(r.vsid, r.mac, (r.pa, r.rule), false));
    // Those that come last win where one is both: a learned record has the MAC of its port.
    let known = derived(policy).chain(stated).chain(gateways(policy));
    let all = known.chain(unknown(policy));
    all.filter(move |station| wanted(station.vsid))
}

/// Where stations are: subnet, PA and rule; one may come several times.
pub(super) fn places(policy: &Policy) -> impl Iterator<Item = (Vsid, IpAddr, Rule)> {
    let few = derived(policy)
        .chain(gateways(policy))
        .chain(unknown(policy));
    let few = few.map(|station| (station.vsid, station.pa, station.rule));
    few.chain(policy.places())
}

const fn station(vsid: Vsid, mac: Mac, (pa, rule): (IpAddr, Rule), l2_only: bool) -> Station {
    Station {
        vsid,
        mac,
        pa,
        rule,
        l2_only,
    }
}

fn derived(policy: &Policy) -> impl Iterator<Item = Station> {
    let derived = derived_records(policy);
    derived.map(|r| station(r.vsid, r.mac, (r.pa, r.rule), false))
}

fn gateways(policy: &Policy) -> impl Iterator<Item = Station> {
    let gateways = policy.wildcards.iter();
    gateways.map(|((vsid, _), w)| station(*vsid, w.mac, (w.pa, w.rule), false))
}

/// Stations whose CAs nobody states.
fn unknown(policy: &Policy) -> impl Iterator<Item = Station> {
    let l2_only = policy.l2_only.iter();
    let l2_only = l2_only.map(|((vsid, mac), r)| station(*vsid, *mac, (r.pa, r.rule), true));
    let ports = policy.ports.values();
    let learning = ports.filter(|port| port.record_type == RecordType::L2Only);
    let learning = learning.filter_map(|port| {
        let pa = policy.hosts.get(&port.host)?.addresses.first()?.address;
        Some(station(port.vsid, port.mac, (pa, port.rule), true))
    });
    l2_only.chain(learning)
}

/// The PAs whose next hops the underlay watcher shall resolve.
pub fn pas_in_use(policy: &Policy, host: &str) -> BTreeSet<IpAddr> {
    Scope::of(policy, host).pas
}

/// The routing domains with a port on `host`, attached or not.
pub fn domains_in_use(policy: &Policy, host: &str) -> BTreeSet<Uuid> {
    let ports = policy.ports.values().filter(|port| port.host == host);
    let networks = ports.filter_map(|port| policy.subnet(port.vsid));
    networks.map(|(network, _)| network.rdid).collect()
}

fn own_addresses(policy: &Policy, host: &str) -> Vec<IpAddr> {
    let addresses = policy.hosts.get(host).map(|host| host.addresses.iter());
    addresses.into_iter().flatten().map(|a| a.address).collect()
}

fn unknown_cas(policy: &Policy) -> BTreeSet<Vsid> {
    unknown(policy).map(|station| station.vsid).collect()
}

/// The groups of subnets, and those that their tenants' groups are mapped to.
fn joined(policy: &Policy, subnets: &BTreeSet<Vsid>) -> BTreeSet<IpAddr> {
    let groups = subnets.iter().filter_map(|vsid| {
        let (_, subnet) = policy.subnet(*vsid)?;
        match subnet.broadcast {
            Broadcast::Multicast(group) => Some(group),
            Broadcast::None | Broadcast::UnicastReplication => None,
        }
    });
    let mapped = policy.groups.iter();
    let mapped = mapped.filter(|((vsid, _), _)| subnets.contains(vsid));
    groups.chain(mapped.map(|(_, pa)| *pa)).collect()
}
