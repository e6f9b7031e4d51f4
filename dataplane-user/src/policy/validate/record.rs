//! Rules of `LookupRecord`, each sort its own.

use std::net::IpAddr;

use dataplane_common::id::Vsid;

use super::{
    Checker, Subject,
    ends::{Claim, Segment},
};
use crate::policy::{
    document::{Envelope, LookupRecordSpec, RecordType, Rule, VirtualSubnetSpec},
    model::{Family, GatewayWildcard, L2Record},
    records::{Kind, Record},
};

impl<'d> Checker<'d> {
    pub(super) fn lookup_record(&mut self, at: &Subject, document: &'d Envelope<LookupRecordSpec>) {
        let spec = &document.spec;
        let network = document.metadata.vm_network.as_deref().unwrap_or_default();
        let subnet = self.subnet(at, network, spec.virtual_subnet_id);
        let station = matches!(spec.record_type, RecordType::Static | RecordType::Dynamic);
        if station && spec.customer_address.is_multicast() {
            self.group_rule(at, (network, subnet), spec);
            return self.group(at, spec);
        }
        self.provider_address(at, "spec.providerAddress", spec.provider_address);
        let place = (network, subnet);
        self.record_rule(at, place, spec);
        match spec.record_type {
            RecordType::Static => self.station(at, place, spec, Claim::Station),
            RecordType::Dynamic => self.station(at, place, spec, Claim::Learned),
            RecordType::L2Only => self.l2_only(at, place, spec),
            RecordType::GatewayWildcard => self.wildcard(at, place, spec),
        }
    }

    /// Where one CA is.
    fn station(
        &mut self,
        at: &Subject,
        (network, subnet): (&'d str, Option<&VirtualSubnetSpec>),
        spec: &LookupRecordSpec,
        claim: Claim,
    ) {
        let (path, ca) = ("spec.customerAddress", spec.customer_address);
        let segment = Segment::Subnet(spec.virtual_subnet_id);
        self.mac(at, segment, spec.mac_address.0, claim);
        if ca.is_unspecified() {
            let message = format!("{ca} is the address of no station");
            let hint = "use the VM's address, or type L2Only or GatewayWildcard";
            self.fault(at, path, message, hint);
        } else if let Some(subnet) = subnet {
            self.address(at, path, (network, subnet), ca);
        }
        let kind = Kind {
            network: network.into(),
            rule: spec.rule,
            use_vm_mac: spec.use_vm_mac_address,
            record_type: spec.record_type,
            revision: Kind::NOW,
            apart: false,
        };
        self.policy.records.put(&Record {
            vsid: spec.virtual_subnet_id,
            ca,
            mac: spec.mac_address.0,
            pa: spec.provider_address,
            kind: &kind,
            extra: None,
        });
    }

    /// A station that is known by its MAC alone.
    fn l2_only(
        &mut self,
        at: &Subject,
        (network, subnet): (&'d str, Option<&VirtualSubnetSpec>),
        spec: &LookupRecordSpec,
    ) {
        self.no_address(at, spec);
        let (mac, number) = (spec.mac_address.0, spec.virtual_subnet_id);
        self.mac(at, Segment::Subnet(number), mac, Claim::L2Only);
        if let Some(vsid) = Vsid::new(number) {
            let record = L2Record {
                network: network.to_owned(),
                pa: spec.provider_address,
                rule: rule_of(spec, subnet),
                vm_name: spec.vm_name.clone(),
            };
            self.policy.l2_only.insert((vsid, mac), record);
        }
    }

    /// A gateway that stands for whatever has no record. Its own CAs may have records with the
    /// same MAC, and it may stand for both families.
    fn wildcard(
        &mut self,
        at: &Subject,
        (network, subnet): (&'d str, Option<&VirtualSubnetSpec>),
        spec: &LookupRecordSpec,
    ) {
        self.no_address(at, spec);
        let (mac, number) = (spec.mac_address.0, spec.virtual_subnet_id);
        self.station_mac(at, Segment::Subnet(number), mac);
        if let Some(vsid) = Vsid::new(number) {
            let record = GatewayWildcard {
                network: network.to_owned(),
                mac,
                pa: spec.provider_address,
                rule: rule_of(spec, subnet),
                vm_name: spec.vm_name.clone(),
            };
            let family = Family::from(spec.customer_address);
            self.policy.wildcards.insert((vsid, family), record);
        }
    }

    /// A tenant's multicast group, which is nobody's address.
    fn group(&mut self, at: &Subject, spec: &LookupRecordSpec) {
        self.provider_group(at, "spec.providerAddress", spec.provider_address);
        if spec.rule == Some(Rule::TranslationMethodNone) {
            let message = "a group on one host alone needs no record";
            let hint = "remove the rule, or the record";
            self.fault(at, "spec.rule", message, hint);
        }
        if let Some(vsid) = Vsid::new(spec.virtual_subnet_id) {
            let key = (vsid, spec.customer_address);
            self.policy.groups.insert(key, spec.provider_address);
        }
    }

    fn no_address(&mut self, at: &Subject, spec: &LookupRecordSpec) {
        let ca: IpAddr = spec.customer_address;
        if !ca.is_unspecified() {
            let message = format!("a record of type {:?} is for no address", spec.record_type);
            let hint = "use 0.0.0.0 or ::, or type Static";
            self.fault(at, "spec.customerAddress", message, hint);
        }
    }
}

/// The record's own rule, or else the subnet's.
fn rule_of(spec: &LookupRecordSpec, subnet: Option<&VirtualSubnetSpec>) -> Rule {
    let default = subnet.map(|subnet| subnet.rule).unwrap_or_default();
    spec.rule.unwrap_or(default)
}
