//! The rules of very many lookup records at once.
//!
//! This finds out only whether all of them keep the rules: each rule is that of `record`, `ends` and
//! `rewrite`, by subnets and sorted lists. Which record breaks which rule is for those to tell.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
};

use dataplane_common::id::{Mac, Vsid};

use super::{
    Checker, SubnetAt,
    address::{longest_prefix, special},
    ends::{Claim, Segment, Use},
    names::is_label,
};
use crate::policy::{
    document::{RecordType, Rule},
    ids::gateway_mac,
    model::Family,
    records::{Batch, Kind, Record, Records},
};

/// How a PA is used; nobody knows yet at first.
type Users = HashMap<IpAddr, Option<Use>>;

impl Checker<'_> {
    /// Whether the records are right, with all that was checked before.
    pub(super) fn stations(&self, records: &Records) -> bool {
        let mut users = Users::new();
        let claims = self.claims();
        let good = |vsid| self.stations_of(vsid, records, &claims, &mut users);
        records.subnets().all(good)
            && records.with_extras().all(|record| named(&record))
            && !self.has_station_of_a_port(records)
            && !self.has_rewritten_next_hop(records)
    }

    /// Whether a few records are right among `records`, which they are part of, the others having been
    /// right with what was checked before and with `before` in their place. `false`: perhaps not.
    pub(super) fn some_stations(&self, fresh: &Batch, before: &Records, records: &Records) -> bool {
        let nat = Rule::TranslationMethodNat;
        let default = |vsid| self.vsids.get(vsid).map(|place| place.spec.rule);
        let own = before.places().iter().filter(|(vsid, _, rule)| {
            let rule = rule.or_else(|| default(vsid));
            rule == Some(nat)
        });
        let own: HashSet<IpAddr> = own.map(|(_, pa, _)| *pa).collect();
        let mut users = Users::new();
        let mut macs: BTreeMap<u32, HashSet<Mac>> = BTreeMap::new();
        for record in fresh.iter() {
            let Some(yard) = self.yard(record.vsid) else {
                return false;
            };
            let rule = record.rule(yard.place.spec.rule);
            let taken = self
                .ends
                .addresses
                .contains_key(&(yard.place.network, record.ca));
            let good = rule != nat && !taken && !own.contains(&record.pa);
            if !good || !yard.takes(&record) || !self.may_use(&record, rule, &mut users) {
                return false;
            }
            if !yard.place.allows(record.kind) || !named(&record) {
                return false;
            }
            macs.entry(record.vsid).or_default().insert(record.mac);
        }
        let claims = self.claims();
        macs.into_iter().all(|(vsid, macs)| {
            let others = claims.get(&vsid).into_iter().flatten().copied();
            let same = records.with_macs(vsid, |mac| macs.contains(&mac));
            agree(others.chain(same.map(|record| claim_of(&record))).collect())
        })
    }

    fn yard(&self, vsid: u32) -> Option<Yard<'_>> {
        let place = self.vsids.get(&vsid)?;
        Vsid::new(vsid)?;
        let wildcards = self.policy.wildcards.iter();
        let wildcards = wildcards.filter(|((of, _), _)| of.get() == vsid);
        Some(Yard {
            place,
            gateway: gateway_mac(place.rdid),
            wildcards: wildcards.map(|(_, wildcard)| wildcard.mac).collect(),
        })
    }

    fn stations_of(
        &self,
        vsid: u32,
        records: &Records,
        claims: &HashMap<u32, Vec<u64>>,
        users: &mut Users,
    ) -> bool {
        let Some(yard) = self.yard(vsid) else {
            return false;
        };
        let mut macs = claims.get(&vsid).cloned().unwrap_or_default();
        let (mut kind, mut pa): (Option<&Kind>, Option<(IpAddr, Rule)>) = (None, None);
        for record in records.of(vsid) {
            if !kind.is_some_and(|known| std::ptr::eq(known, record.kind)) {
                if !yard.place.allows(record.kind) {
                    return false;
                }
                kind = Some(record.kind);
            }
            let rule = record.rule(yard.place.spec.rule);
            // Neighbours in the list often are on one host.
            let shared = rule != Rule::TranslationMethodNat;
            let known = shared && pa == Some((record.pa, rule));
            if !yard.takes(&record) || !(known || self.may_use(&record, rule, users)) {
                return false;
            }
            pa = Some((record.pa, rule));
            macs.push(claim_of(&record));
        }
        agree(macs)
    }

    /// Whether the PA is one that the record may have.
    fn may_use(&self, record: &Record<'_>, rule: Rule, users: &mut Users) -> bool {
        let pa = record.pa;
        let used = users.entry(pa).or_insert_with(|| {
            let user = self.ends.users.get(&pa).map(|(_, used)| *used);
            user.or_else(|| special(&pa.into()).map(|_| Use::Refused))
        });
        match (rule, *used) {
            (Rule::TranslationMethodNat, None) => {
                *used = Some(Use::Own);
                Family::from(record.ca) == Family::from(pa) && !self.ends.provider.contains_key(&pa)
            }
            (_, Some(Use::Own | Use::Refused)) | (Rule::TranslationMethodNat, Some(_)) => false,
            (_, None | Some(Use::Shared)) => {
                *used = Some(Use::Shared);
                true
            }
        }
    }

    /// The MACs of whatever else is in a subnet, by VSID.
    fn claims(&self) -> HashMap<u32, Vec<u64>> {
        let mut claims: HashMap<u32, Vec<u64>> = HashMap::new();
        for ((segment, mac), how) in self.ends.claims() {
            if let Segment::Subnet(vsid) = segment {
                claims.entry(*vsid).or_default().push(claim(*mac, *how));
            }
        }
        claims
    }

    fn has_station_of_a_port(&self, records: &Records) -> bool {
        let mut ports = self.policy.ports.values();
        let at = |vsid: Vsid, ca: &IpAddr| records.get((vsid.get(), *ca)).is_some();
        ports.any(|port| port.addresses.iter().any(|ca| at(port.vsid, ca)))
    }

    fn has_rewritten_next_hop(&self, records: &Records) -> bool {
        let mut routes = self.policy.routes.values();
        routes.any(|route| {
            let vsid = route.vsid.get();
            let default = self.vsids.get(&vsid).map(|place| place.spec.rule);
            let record = records.get((vsid, route.next_hop));
            let rule = record.map(|record| record.rule(default.unwrap_or_default()));
            rule == Some(Rule::TranslationMethodNat)
        })
    }
}

/// A subnet, and who else is in it.
struct Yard<'c> {
    place: &'c SubnetAt<'c>,
    gateway: Mac,
    /// MACs of gateways that stand for others.
    wildcards: Vec<Mac>,
}

impl Yard<'_> {
    /// Whether CA and MAC are such as a station may have.
    fn takes(&self, record: &Record<'_>) -> bool {
        let rewritten = record.rule(self.place.spec.rule) == Rule::TranslationMethodNat;
        self.place.has_room_for(record.ca)
            && record.mac.is_station()
            && record.mac != self.gateway
            && !(rewritten && self.wildcards.contains(&record.mac))
    }
}

/// Whether no two claims of one MAC contradict.
fn agree(mut claims: Vec<u64>) -> bool {
    claims.sort_unstable();
    let station = claim(Mac::default(), Claim::Station);
    let mut pairs = claims.windows(2);
    // Sorted, the claim of a station comes first among those of its MAC.
    !pairs.any(|pair| pair[0] >> 2 == pair[1] >> 2 && pair[0] & 3 == station)
}

fn claim_of(record: &Record<'_>) -> u64 {
    let learned = record.kind.record_type == RecordType::Dynamic;
    let how = if learned {
        Claim::Learned
    } else {
        Claim::Station
    };
    claim(record.mac, how)
}

impl SubnetAt<'_> {
    /// Whether records of this kind may be in the subnet.
    fn allows(&self, kind: &Kind) -> bool {
        let rule = kind.rule.unwrap_or(self.spec.rule);
        let learned = kind.record_type == RecordType::Dynamic;
        *kind.network == *self.network
            && match rule {
                Rule::TranslationMethodNat => !learned,
                Rule::TranslationMethodEncap | Rule::TranslationMethodNone => !kind.use_vm_mac,
            }
    }

    /// Whether a station may have the CA.
    fn has_room_for(&self, ca: IpAddr) -> bool {
        let mut prefixes = self.spec.prefixes.iter();
        let Some(prefix) = prefixes.find(|prefix| prefix.contains(&ca)) else {
            return false;
        };
        let free = prefix.prefix_len() > longest_prefix(prefix)
            || ca != prefix.network() && (ca.is_ipv6() || ca != prefix.broadcast());
        free && !(self.distributed_router && self.gateways.contains(&ca))
    }
}

fn named(record: &Record<'_>) -> bool {
    let name = record.extra.and_then(|extra| extra.name.as_ref());
    name.is_none_or(|name| is_label(name))
}

/// A MAC and how somebody has it, as a number that sorts by the MAC.
fn claim(mac: Mac, claim: Claim) -> u64 {
    let how = match claim {
        Claim::Station => 0,
        Claim::L2Only => 1,
        Claim::Learned => 2,
    };
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&mac.0);
    u64::from_be_bytes(bytes) << 2 | how
}

#[cfg(test)]
mod tests;
