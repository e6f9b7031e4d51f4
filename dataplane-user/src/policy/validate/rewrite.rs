//! Rules of IP rewrite (`TranslationMethodNat`): a PA stands for one CA and is nobody else's.

use std::net::IpAddr;

use super::{
    Checker, Subject,
    ends::{Segment, Use},
};
use crate::policy::{
    document::{
        BroadcastMode, LookupRecordSpec, PortSpec, RecordType,
        Rule::{self, TranslationMethodNat},
        VirtualSubnetSpec,
    },
    key::Key,
    model::Family,
};

/// A VM network, and the subnet if there is one.
type Place<'a> = (&'a str, Option<&'a VirtualSubnetSpec>);

impl Checker<'_> {
    /// What a subnet by this rule carries: IP packets to one station.
    pub(super) fn rewriting_subnet(
        &mut self,
        at: &Subject,
        path: &str,
        subnet: &VirtualSubnetSpec,
    ) {
        if subnet.rule != TranslationMethodNat {
            return;
        }
        let hint = "remove it, or use rule TranslationMethodEncap";
        if subnet.broadcast.mode != BroadcastMode::None {
            let message = "rule TranslationMethodNat carries no broadcast and multicast frames";
            self.fault(at, format!("{path}.broadcast"), message, hint);
        }
        if subnet.allow_non_ip {
            let message = "rule TranslationMethodNat carries IP packets only";
            self.fault(at, format!("{path}.allowNonIP"), message, hint);
        }
    }

    /// A port's rule, and what goes with it.
    pub(super) fn port_rule(&mut self, at: &Subject, place: Place<'_>, spec: &PortSpec) -> Rule {
        let Some(rule) = effective(spec.rule, place) else {
            return Rule::default();
        };
        if rule != TranslationMethodNat {
            let given = [
                ("providerAddresses", !spec.provider_addresses.is_empty()),
                ("useVmMACAddress", spec.use_vm_mac_address),
            ];
            self.of_no_use(at, place, (rule, spec.rule), &given);
        } else if spec.record_type == RecordType::L2Only {
            let message = "learned addresses have no provider addresses of their own";
            let hint = "use recordType Static, or rule TranslationMethodEncap";
            self.fault(at, "spec.recordType", message, hint);
            self.inherits(place, spec.rule);
        } else {
            self.own_addresses(at, place, spec);
        }
        rule
    }

    /// One PA for each CA of a port.
    fn own_addresses(&mut self, at: &Subject, place: Place<'_>, spec: &PortSpec) {
        let (cas, pas) = (&spec.customer_addresses, &spec.provider_addresses);
        let path = "spec.providerAddresses";
        if cas.len() != pas.len() {
            let (path, message) = if pas.is_empty() {
                ("spec", "providerAddresses is missing".to_owned())
            } else {
                let (cas, pas) = (cas.len(), pas.len());
                let message = format!(
                    "providerAddresses needs as many addresses as customerAddresses: {cas}, not {pas}"
                );
                (path, message)
            };
            let hint =
                "with rule TranslationMethodNat give each customer address one, in their order";
            self.fault(at, path, message, hint);
            self.inherits(place, spec.rule);
        }
        for (index, pa) in pas.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.provider_address(at, &path, *pa);
            if let Some(ca) = cas.get(index) {
                self.own_address(at, &path, *ca, *pa);
            }
        }
    }

    /// A record's rule, and what goes with it; not of a group.
    pub(super) fn record_rule(&mut self, at: &Subject, place: Place<'_>, spec: &LookupRecordSpec) {
        let Some(rule) = effective(spec.rule, place) else {
            return;
        };
        if rule != TranslationMethodNat {
            let given = [("useVmMACAddress", spec.use_vm_mac_address)];
            self.of_no_use(at, place, (rule, spec.rule), &given);
            return self.shared_address(at, spec.provider_address);
        }
        let message = match spec.record_type {
            RecordType::Static => {
                let (ca, pa) = (spec.customer_address, spec.provider_address);
                return self.own_address(at, "spec.providerAddress", ca, pa);
            }
            RecordType::Dynamic => "a learned address has no provider address of its own",
            RecordType::L2Only | RecordType::GatewayWildcard => {
                "rule TranslationMethodNat needs a customer address to rewrite"
            }
        };
        let path = stated(spec.rule, "spec.type");
        let hint = "use type Static, or rule TranslationMethodEncap";
        self.fault(at, path, message, hint);
        self.inherits(place, spec.rule);
    }

    /// The rule of a tenant's group.
    pub(super) fn group_rule(&mut self, at: &Subject, place: Place<'_>, spec: &LookupRecordSpec) {
        let Some(rule) = effective(spec.rule, place) else {
            return;
        };
        if rule == TranslationMethodNat {
            let path = stated(spec.rule, "spec.customerAddress");
            let message = "rule TranslationMethodNat carries no packets to groups";
            let hint = "remove the record, or use rule TranslationMethodEncap";
            self.fault(at, path, message, hint);
            self.inherits(place, spec.rule);
        } else {
            let given = [("useVmMACAddress", spec.use_vm_mac_address)];
            self.of_no_use(at, place, (rule, spec.rule), &given);
        }
    }

    /// A PA that stands for a CA: no host's and no other station's.
    fn own_address(&mut self, at: &Subject, path: &str, ca: IpAddr, pa: IpAddr) {
        if Family::from(ca) != Family::from(pa) {
            let message = format!("{pa} is not of the address family of {ca}");
            let hint = "addresses that are rewritten to each other are of one family";
            return self.fault(at, path, message, hint);
        }
        let user = self.ends.users.get(&pa).map(|(key, _)| key);
        let Some(other) = user.or(self.ends.provider.get(&pa)).cloned() else {
            self.ends.users.insert(pa, (at.key.clone(), Use::Own));
            return;
        };
        let message = format!("{pa} is a provider address of {other} already");
        let hint = "with rule TranslationMethodNat give each customer address its own";
        self.fault(at, path, message, hint);
        self.relates_to(other);
    }

    /// The PA of a station's host: it stands for no CA.
    fn shared_address(&mut self, at: &Subject, pa: IpAddr) {
        let user = (at.key.clone(), Use::Shared);
        let (key, used) = self.ends.users.entry(pa).or_insert(user);
        if *used == Use::Shared {
            return;
        }
        let other = key.clone();
        let message = format!("{pa} stands for a customer address of {other} alone");
        let hint = "use a provider address of the VM's host";
        self.fault(at, "spec.providerAddress", message, hint);
        self.relates_to(other);
    }

    /// Fields that are of this rule only.
    fn of_no_use(
        &mut self,
        at: &Subject,
        place: Place<'_>,
        (rule, own): (Rule, Option<Rule>),
        given: &[(&str, bool)],
    ) {
        for (field, _) in given.iter().filter(|(_, given)| *given) {
            let message = format!("{field} has no meaning with rule {rule:?}");
            let hint = "remove it, or use rule TranslationMethodNat";
            self.fault(at, format!("spec.{field}"), message, hint);
            self.inherits(place, own);
        }
    }

    /// A fault of a rule that is the subnet's has to do with the VM network.
    fn inherits(&mut self, (network, _): Place<'_>, own: Option<Rule>) {
        if own.is_none() {
            self.relates_to(Key::VmNetwork(network.to_owned()));
        }
    }

    /// A wildcard gateway sends packets of others' addresses, which have no PA of the station's.
    pub(super) fn wildcard_station(&mut self, at: &Subject, spec: &LookupRecordSpec) {
        if spec.record_type != RecordType::GatewayWildcard {
            return;
        }
        let (segment, mac) = (Segment::Subnet(spec.virtual_subnet_id), spec.mac_address.0);
        let Some(station) = self.ends.station(segment, mac).cloned() else {
            return;
        };
        if self.rule_at(&station) == Some(TranslationMethodNat) {
            let message =
                format!("{station} has rule TranslationMethodNat and speaks for itself only");
            let hint = "use a gateway with rule TranslationMethodEncap";
            self.fault(at, "spec.macAddress", message, hint);
            self.relates_to(station);
        }
    }

    /// The rule of a port or of the record of a CA.
    pub(super) fn rule_at(&self, station: &Key) -> Option<Rule> {
        match station {
            Key::Port(port) => Some(self.policy.ports.get(port)?.rule),
            Key::LookupRecord(vsid, ca) => {
                let record = self.policy.records.get((*vsid, *ca))?;
                let subnet = self.vsids.get(vsid).map(|place| place.spec.rule);
                Some(record.rule(subnet.unwrap_or_default()))
            }
            Key::ProviderNetwork(_)
            | Key::Host(_)
            | Key::VmNetwork(_)
            | Key::L2Record(..)
            | Key::CustomerRoute(..) => None,
        }
    }
}

/// The rule of an object; `None` if it has none and its subnet is not there.
fn effective(own: Option<Rule>, (_, subnet): Place<'_>) -> Option<Rule> {
    own.or(subnet.map(|subnet| subnet.rule))
}

/// Where a fault of a rule is shown: at the rule, if the object states it.
fn stated(own: Option<Rule>, otherwise: &str) -> &str {
    if own.is_some() {
        "spec.rule"
    } else {
        otherwise
    }
}

#[cfg(test)]
mod tests;
