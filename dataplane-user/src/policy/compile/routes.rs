//! `ROUTES`: what is on link, and customer routes with their next hops followed to records.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use dataplane_common::{
    abi::lookup::LookupRecord,
    id::{Mac, Vsid},
};
use ipnet::IpNet;

use super::{CompileError, Compiler, route_scope, scope::Station};
use crate::policy::{
    model::{CustomerRoute, Family, Policy, VmNetwork, derived_records},
    table_image::Prefix,
};

/// Whoever takes the packets of customer routes, by VSID and CA of the next hop: one that has no
/// record is not there.
pub(super) type Hops = BTreeMap<(Vsid, IpAddr), Station>;

/// The next hops of all customer routes: by their own record, or the wildcard of their subnet.
pub(super) fn hops(policy: &Policy) -> Hops {
    let mut hops = Hops::new();
    if policy.routes.is_empty() {
        return hops;
    }
    let mut named: BTreeMap<_, Option<Station>> = BTreeMap::new();
    for route in policy.routes.values() {
        let at = (route.vsid, route.next_hop);
        named.entry(at).or_insert_with(|| stated(policy, at));
    }
    for record in derived_records(policy) {
        if let Some(hop) = named.get_mut(&(record.vsid, record.ca)) {
            *hop = Some(Station {
                vsid: record.vsid,
                mac: record.mac,
                pa: record.pa,
                rule: record.rule,
                l2_only: false,
            });
        }
    }
    hops.extend(named.into_iter().filter_map(|(at, hop)| Some((at, hop?))));
    hops
}

fn stated(policy: &Policy, (vsid, ca): (Vsid, IpAddr)) -> Option<Station> {
    let record = policy.stated_at(vsid, ca);
    let wildcard = policy.wildcards.get(&(vsid, Family::from(ca)));
    let record = record.map(|r| (r.mac, r.pa, r.rule));
    let (mac, pa, rule) = record.or(wildcard.map(|w| (w.mac, w.pa, w.rule)))?;
    Some(Station {
        vsid,
        mac,
        pa,
        rule,
        l2_only: false,
    })
}

/// Whoever sends and gets packets of CAs that are not its own, by VSID and MAC.
pub(super) fn forwards(hops: &Hops) -> BTreeSet<(Vsid, Mac)> {
    hops.values().map(|hop| (hop.vsid, hop.mac)).collect()
}

impl Compiler<'_> {
    pub(super) fn routes(&mut self, name: &str, network: &VmNetwork) -> Result<(), CompileError> {
        let rdid = self.ids.routing_domain(network.rdid);
        for (prefix, hop) in self.chosen(name, network, rdid) {
            let mut record = self.record_of(&hop)?;
            record.flags |= LookupRecord::VIA;
            self.image.routes.insert(prefix, record);
        }
        for subnet in &network.subnets {
            let scope = route_scope(network, rdid, subnet.vsid);
            for prefix in &subnet.prefixes {
                let prefix = Prefix::new(scope, *prefix);
                self.image.routes.insert(prefix, on_link(subnet.vsid));
            }
        }
        Ok(())
    }

    /// Of the routes to a prefix the one with the lowest metric whose next hop is there; of several
    /// the one with the lowest next hop.
    fn chosen(&self, name: &str, network: &VmNetwork, rdid: u32) -> BTreeMap<Prefix, Station> {
        let from = (name.to_owned(), String::new());
        let routes = self.policy.routes.range(from..);
        let own = routes.take_while(|((network, _), _)| network == name);
        let mut best: BTreeMap<Prefix, (&CustomerRoute, Station)> = BTreeMap::new();
        for (_, route) in own {
            let Some(hop) = self.hops.get(&(route.vsid, route.next_hop)) else {
                continue;
            };
            let prefix = key_of(network, rdid, route.vsid, route.prefix);
            let rank = |route: &CustomerRoute| (route.metric, route.next_hop);
            let better = |(best, _): &(&CustomerRoute, _)| rank(best) <= rank(route);
            if !best.get(&prefix).is_some_and(better) {
                best.insert(prefix, (route, *hop));
            }
        }
        let chosen = best.into_iter();
        chosen.map(|(prefix, (_, hop))| (prefix, hop)).collect()
    }
}

fn key_of(network: &VmNetwork, rdid: u32, vsid: Vsid, prefix: IpNet) -> Prefix {
    Prefix::new(route_scope(network, rdid, vsid), prefix)
}

fn on_link(vsid: Vsid) -> LookupRecord {
    LookupRecord {
        flags: LookupRecord::ON_LINK,
        ..LookupRecord::negative(vsid.get())
    }
}
