use std::{collections::BTreeMap, fmt::Write};

use dataplane_common::{abi::lookup::LookupRecord, id::Address};
use proptest::prelude::*;

use super::*;
use crate::policy::{AttachedPort, Facts, MapOp, PortKey, check, compile, derived_records, diff};

const HOST: &str = "host-a";

/// Tenants with a port of this host each and one elsewhere, by name.
fn policy(tenants: &[u32]) -> Policy {
    let mut text = String::from(
        "apiVersion: nve/v1\nkind: Host\nmetadata: {name: host-a}\nspec: {providerAddresses: [{address: 192.0.2.1}]}\n",
    );
    for n in tenants {
        let _ = write!(
            text,
            "---
apiVersion: nve/v1
kind: Host
metadata: {{name: far-{n}}}
spec: {{providerAddresses: [{{address: 198.51.100.{n}}}]}}
---
apiVersion: nve/v1
kind: VMNetwork
metadata: {{name: net-{n}}}
spec:
  routingDomainId: 00000000-0000-4000-8000-0000000000{n:02}
  virtualSubnets:
  - {{name: s, virtualSubnetId: {vsid}, prefixes: [10.0.0.0/24]}}
---
apiVersion: nve/v1
kind: Port
metadata: {{name: near, vmNetwork: net-{n}}}
spec: {{host: host-a, virtualSubnetId: {vsid}, macAddress: '02:00:00:00:00:05', customerAddresses: [10.0.0.5], attach: {{netns: n{n}}}}}
---
apiVersion: nve/v1
kind: Port
metadata: {{name: far, vmNetwork: net-{n}}}
spec: {{host: far-{n}, virtualSubnetId: {vsid}, macAddress: '02:00:00:00:00:07', customerAddresses: [10.0.0.7], attach: {{netns: f{n}}}}}
",
            vsid = 6000 + n
        );
    }
    check("test.yaml", &text)
        .unwrap_or_else(|faults| panic!("{}", faults[0]))
        .1
}

/// All ports of this host are attached, each with a device of its own for ever.
fn facts(policy: &Policy) -> Facts {
    let ours = policy.ports.iter().filter(|(_, port)| port.host == HOST);
    let port = |(key, port): (&PortKey, &crate::policy::model::Port)| {
        let ifindex = port.vsid.get();
        (
            key.clone(),
            AttachedPort {
                ifindex,
                mtu: 1458,
                peer: true,
            },
        )
    };
    Facts {
        ports: ours.map(port).collect(),
        ..Facts::default()
    }
}

fn tables(policy: &Policy, ids: &mut Ids) -> TableImage {
    compile(policy, HOST, &facts(policy), ids).unwrap()
}

/// Where a packet of each tenant for 10.0.0.7 goes, and whose packets each slot counts.
fn ways(image: &TableImage) -> BTreeMap<u32, (Option<Address>, u32)> {
    let way = |vport: &Vport| {
        let record = image
            .lookup
            .iter()
            .find(|(key, _)| key.rdid == vport.rdid && key.ca == Address::v4([10, 0, 0, 7]));
        let hop = record.and_then(|(_, record)| image.underlay.get(&record.pa_index));
        (vport.vsid, (hop.map(|hop| hop.pa), vport.slot))
    };
    image.vports.values().map(way).collect()
}

/// No tenant's packet may ever go to a PA that no record of that tenant names, nor be
/// counted where another tenant was counted.
fn never_mixes(old: &TableImage, ops: &[MapOp], allowed: &[&Policy]) {
    let mut image = old.clone();
    let slots: BTreeMap<u32, u32> = ways(old)
        .into_iter()
        .map(|(vsid, way)| (way.1, vsid))
        .collect();
    for op in ops {
        image.apply(op);
        for (vsid, (pa, slot)) in ways(&image) {
            assert!(
                slots.get(&slot).is_none_or(|owner| *owner == vsid),
                "slot {slot} goes from {slots:?} to {vsid} by {op:?}"
            );
            let records = allowed.iter().flat_map(|policy| derived_records(policy));
            let mut own = records.filter(|record| record.vsid.get() == vsid);
            let Some(pa) = pa else { continue };
            assert!(
                own.any(|record| IpAddr::from(pa) == record.pa),
                "{vsid} is sent to {pa:?} by {op:?}"
            );
        }
    }
}

#[test]
fn without_saved_numbers_the_tables_tell_them() {
    let all = policy(&[1, 2, 3]);
    let mut before = Ids::new(7);
    tables(&policy(&[3]), &mut before);
    let old = tables(&all, &mut before);
    let mut after = Ids::new(8);
    after.adopt(&old, &all, HOST);
    assert_eq!(
        diff(&old, &tables(&all, &mut after)),
        [],
        "the same policy changes nothing"
    );
    assert_eq!(after.seed, 7, "flows keep their ways");
    assert_eq!(after.ports.numbers, before.ports.numbers);
    assert_eq!(
        after.provider_addresses.numbers,
        before.provider_addresses.numbers
    );
}

#[test]
fn numbers_of_what_is_gone_are_free_only_after_it_left_the_tables() {
    let (all, rest) = (policy(&[1, 2, 3]), policy(&[3]));
    let old = tables(&all, &mut Ids::new(7));
    let mut ids = Ids::new(8);
    ids.adopt(&old, &rest, HOST);
    assert_eq!(ids.ports.held, [1, 2].into());
    let new = tables(&rest, &mut ids);
    let freed = ids.release(&rest, HOST);
    assert_eq!(freed, [1, 2], "their counters are to be cleared");
    assert!(ids.ports.held.is_empty() && ids.routing_domains.held.is_empty());
    never_mixes(&old, &diff(&old, &new), &[&all, &rest]);
}

#[test]
fn saved_numbers_that_agree_stay_and_those_of_an_older_store_give_way() {
    let (all, other) = (policy(&[1, 2]), policy(&[2, 1]));
    let mut saved = Ids::new(7);
    let old = tables(&all, &mut saved);
    let mut same = saved.clone();
    same.adopt(&old, &all, HOST);
    assert_eq!(same, saved);
    // An older store knew only the second tenant, by the number that is the first's now.
    let mut stale = Ids::new(7);
    tables(&policy(&[2]), &mut stale);
    stale.adopt(&old, &other, HOST);
    let new = tables(&other, &mut stale);
    never_mixes(&old, &diff(&old, &new), &[&all]);
    assert!(
        new.lookup
            .values()
            .all(|record| record.has(LookupRecord::LOCAL)
                || record.pa_index > 0
                || record.has(LookupRecord::GATEWAY))
    );
}

#[test]
fn empty_tables_change_nothing() {
    let mut ids = Ids::new(7);
    tables(&policy(&[1, 2]), &mut ids);
    let before = ids.clone();
    ids.adopt(&TableImage::default(), &policy(&[1]), HOST);
    assert_eq!(ids, before);
}

proptest! {
    /// Whatever the tables hold, whatever the store has kept, whatever comes next.
    #[test]
    fn no_number_ever_means_two_things(
        held in proptest::collection::vec(1_u32..7, 0..6),
        kept in proptest::collection::vec(1_u32..7, 0..6),
        next in proptest::collection::vec(1_u32..7, 0..6),
    ) {
        let unique = |list: Vec<u32>| {
            let mut seen = BTreeSet::new();
            list.into_iter().filter(|n| seen.insert(*n)).collect::<Vec<_>>()
        };
        let [held, kept, next] = [held, kept, next].map(unique).map(|list| policy(&list));
        let mut first = Ids::new(7);
        let old = tables(&held, &mut first);
        let mut ids = Ids::new(8);
        tables(&kept, &mut ids);
        ids.adopt(&old, &next, HOST);
        let new = tables(&next, &mut ids);
        never_mixes(&old, &diff(&old, &new), &[&held, &next]);
        let used: BTreeSet<u32> = new.vports.values().map(|vport| vport.slot).collect();
        prop_assert_eq!(used.len(), new.vports.len());
        let all = ids.ports.fresh() - 1;
        let numbers = ids.ports.numbers.values().chain(&ids.ports.free).chain(&ids.ports.held);
        prop_assert_eq!(numbers.copied().collect::<BTreeSet<_>>(), (1..=all).collect());
    }
}
