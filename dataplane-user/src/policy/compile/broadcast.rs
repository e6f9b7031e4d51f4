//! `FLOODS`: who gets a virtual subnet's broadcast.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use dataplane_common::{
    abi::{flood::Flood, vport::LocalPortKey},
    id::{Mac, Vsid},
};

use super::{CompileError, Compiler, Scope, scope::places};
use crate::policy::{
    document::Rule,
    model::{Broadcast, Policy},
};

impl Compiler<'_> {
    /// Of the subnets with a port here.
    pub(super) fn floods(&mut self) -> Result<(), CompileError> {
        let others = receivers(self.policy, self.scope);
        for vsid in &self.scope.subnets {
            let Some(pas) = others.get(vsid) else {
                continue;
            };
            let first = LocalPortKey::new(vsid.get(), Mac::default());
            let locals = self.image.local_ports.range(first..);
            let locals = locals.take_while(|(key, _)| key.vsid() == vsid.get());
            let ports: Vec<u32> = locals.map(|(_, ifindex)| *ifindex).collect();
            let mixed = pas.iter().any(IpAddr::is_ipv4) && pas.iter().any(IpAddr::is_ipv6);
            let pas: Result<Vec<u32>, _> = pas
                .iter()
                .map(|pa| self.ids.provider_address(*pa))
                .collect();
            let flood = Flood::new(&ports, &pas?, mixed);
            self.image.floods.insert(vsid.get(), flood);
        }
        Ok(())
    }
}

/// The PAs that get a copy of a broadcast from here, by the subnets with a port here in which there
/// is broadcast: those of other hosts with a station in the subnet, or its group. A station with rule
/// `TranslationMethodNone` is reached on its own host only, and IP rewrite carries no broadcast.
pub fn receivers(policy: &Policy, scope: &Scope) -> BTreeMap<Vsid, BTreeSet<IpAddr>> {
    let mut receivers = BTreeMap::new();
    let mut replicated = BTreeSet::new();
    for vsid in &scope.subnets {
        let Some((_, subnet)) = policy.subnet(*vsid) else {
            continue;
        };
        let group = match subnet.broadcast {
            Broadcast::Multicast(group) => Some(group),
            Broadcast::None if !scope.unknown_cas.contains(vsid) => continue,
            // Whoever has an address that nobody knows is looked for.
            Broadcast::None | Broadcast::UnicastReplication => {
                replicated.insert(*vsid);
                None
            }
        };
        receivers.insert(*vsid, group.into_iter().collect::<BTreeSet<_>>());
    }
    let reached = places(policy).filter(|(.., rule)| *rule == Rule::TranslationMethodEncap);
    for (vsid, pa, _) in reached.filter(|(vsid, ..)| replicated.contains(vsid)) {
        if !scope.own.contains(&pa)
            && let Some(pas) = receivers.get_mut(&vsid)
        {
            pas.insert(pa);
        }
    }
    receivers
}
