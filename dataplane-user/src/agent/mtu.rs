//! MTUs of tenants and of paths.

use std::{collections::BTreeSet, net::IpAddr, time::Instant};

use dataplane_common::id::Vsid;
use uuid::Uuid;

use super::Agent;
use crate::{
    policy::{Policy, derived_records, document::Rule},
    underlay::{mtu_cost, path_mtu::LEAST_IPV6},
};

/// What the MTU of a tenant's device comes from, in bytes.
#[derive(Debug)]
pub(super) struct TenantMtus {
    /// That of the narrowest way over the underlay.
    path: u32,
    /// What encapsulation takes of it,
    cost: u16,
    /// and in the routing domains that reach hosts by IPv6.
    cost_ipv6: u16,
    over_ipv6: BTreeSet<Uuid>,
}

impl TenantMtus {
    /// The largest packet of a port with this rule in a routing domain that fits every path, with
    /// what the rule puts in front of it.
    pub(super) fn of(&self, rdid: Uuid, rule: Rule) -> u16 {
        let cost = if rule == Rule::TranslationMethodNat {
            0
        } else if self.over_ipv6.contains(&rdid) {
            self.cost_ipv6
        } else {
            self.cost
        };
        let mtu = self.path.saturating_sub(cost.into());
        u16::try_from(mtu).unwrap_or(u16::MAX)
    }
}

impl Agent {
    /// The MTUs of tenants' devices. What routers told of a path counts for packets on it alone:
    /// it comes and goes, and a device that falls below 1280 loses its IPv6.
    pub(super) fn tenant_mtus(&self, policy: &Policy) -> TenantMtus {
        // One that is not there will come back with the MTU that it had.
        let uplinks = self.known_uplinks.values().map(|uplink| uplink.mtu);
        let paths = self.reach.values().map(|reach| u32::from(reach.link_mtu));
        let narrowest = uplinks.chain(paths.filter(|mtu| *mtu != 0)).min();
        let host = policy.hosts.get(&self.settings.host);
        let first = host.and_then(|host| host.addresses.first());
        let any = IpAddr::from([0; 4]);
        TenantMtus {
            path: narrowest.unwrap_or(1500),
            cost: mtu_cost(first.map_or(any, |pa| pa.address)),
            cost_ipv6: mtu_cost(IpAddr::from([0; 16])),
            over_ipv6: over_ipv6(policy),
        }
    }

    /// Takes what a router told of the path to a PA; whether that changes anything.
    pub(super) fn hear_of_path(&mut self, (pa, mtu): (IpAddr, u16)) -> bool {
        let lower = self.reach.contains_key(&pa) && self.path_mtus.lower(pa, mtu, Instant::now());
        if lower {
            tracing::trace!("path to {pa} has an MTU of {mtu}");
        }
        lower
    }
}

/// The routing domains in which an IPv6 PA is in use.
fn over_ipv6(policy: &Policy) -> BTreeSet<Uuid> {
    let domain = |vsid: Vsid| Some(policy.subnet(vsid)?.0.rdid);
    let derived = derived_records(policy).map(|record| (record.vsid, record.pa, record.rule));
    let encapsulated = derived
        .chain(policy.places())
        .filter(|(.., rule)| *rule != Rule::TranslationMethodNat);
    let wide = encapsulated.filter(|(_, pa, _)| pa.is_ipv6());
    wide.filter_map(|(vsid, ..)| domain(vsid)).collect()
}

/// What is wrong with a port that has this MTU, in bytes, and these addresses: IPv6 needs 1280
/// on every link (RFC 8200, section 5).
pub(super) fn too_small(mtu: u16, addresses: &[IpAddr]) -> Option<String> {
    let ipv6 = addresses.iter().find(|address| address.is_ipv6())?;
    (mtu < LEAST_IPV6).then(|| {
        format!(
            "its MTU of {mtu} is too small for {ipv6}: IPv6 needs {LEAST_IPV6}; raise the MTU of the underlay, of the subnet or of the device"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check;

    const TWO_TENANTS: &str = include_str!("../../../tests/fixtures/policy/good/two-tenants.yaml");

    #[test]
    fn a_domain_that_reaches_a_host_by_ipv6_is_found() {
        let (_, mut policy) = check("test.yaml", TWO_TENANTS).expect("it is good");
        assert_eq!(over_ipv6(&policy), BTreeSet::new());
        let alone = policy.networks["red"].rdid;
        policy.ports.retain(|port, _| port.vm_network == "red");
        policy.records = crate::policy::records::Records::default();
        for host in policy.hosts.values_mut() {
            host.addresses[0].address = IpAddr::from([0xfd; 16]);
        }
        assert_eq!(over_ipv6(&policy), BTreeSet::from([alone]));
    }

    #[test]
    fn the_cost_is_that_of_the_domain() {
        let [narrow, wide] = [1, 2].map(Uuid::from_u128);
        let mtus = TenantMtus {
            path: 1600,
            cost: mtu_cost(IpAddr::from([192, 0, 2, 1])),
            cost_ipv6: mtu_cost(IpAddr::from([0xfd; 16])),
            over_ipv6: BTreeSet::from([wide]),
        };
        let encap = Rule::TranslationMethodEncap;
        assert_eq!((mtus.of(narrow, encap), mtus.of(wide, encap)), (1558, 1538));
        assert_eq!(mtus.of(wide, Rule::TranslationMethodNat), 1600);
        let jumbo = TenantMtus {
            path: 1 << 20,
            ..mtus
        };
        assert_eq!(jumbo.of(wide, encap), u16::MAX);
    }

    #[test]
    fn ipv6_needs_1280() {
        let both = [IpAddr::from([10, 0, 0, 5]), IpAddr::from([0xfd; 16])];
        assert_eq!(too_small(1279, &both[..1]), None);
        assert_eq!(too_small(1280, &both), None);
        let told = too_small(1279, &both).expect("a fault");
        assert!(
            told.contains("its MTU of 1279 is too small for fdfd:"),
            "{told}"
        );
    }
}
