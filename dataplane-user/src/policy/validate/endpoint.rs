//! Rules of `Port` and `LookupRecord`: who has which CA, MAC and device.

use std::{collections::HashMap, net::IpAddr};

use dataplane_common::id::{Mac, Vsid};

use super::{Checker, Subject, SubnetAt};
use crate::policy::{
    document::{Attach, Envelope, LookupRecordSpec, PortSpec, RecordType, VirtualSubnetSpec},
    ids::gateway_mac,
    key::{Key, PortKey},
    model::{LookupRecord, Port},
};

/// Name of a veth's end in a namespace unless the port says otherwise.
const DEFAULT_INTERFACE: &str = "eth0";

/// Who has what.
#[derive(Default)]
pub(super) struct Ends<'d> {
    /// Hosts by PA.
    pub(super) provider: HashMap<IpAddr, Key>,
    /// By VM network and CA.
    addresses: HashMap<(&'d str, IpAddr), Key>,
    /// By VSID and MAC.
    macs: HashMap<(u32, Mac), Key>,
    /// By host, network namespace (empty: the host's own) and interface.
    devices: HashMap<(&'d str, &'d str, &'d str), Key>,
}

impl<'d> Checker<'d> {
    pub(super) fn port(&mut self, at: &Subject, document: &'d Envelope<PortSpec>) {
        let spec = &document.spec;
        let network = document.metadata.vm_network.as_deref().unwrap_or_default();
        self.known_host(at, &spec.host);
        self.attach(at, &spec.host, &spec.attach);
        if spec.customer_addresses.is_empty() {
            let hint = "add at least one";
            let message = "a port needs a customer address";
            self.fault(at, "spec.customerAddresses", message, hint);
        }
        let subnet = self.subnet(at, network, spec.virtual_subnet_id);
        self.mac(at, spec.virtual_subnet_id, spec.mac_address.0);
        if let Some(subnet) = subnet {
            for (index, ca) in spec.customer_addresses.iter().enumerate() {
                let path = format!("spec.customerAddresses[{index}]");
                self.address(at, &path, (network, subnet), *ca);
            }
        }
        if let (Some(vsid), Key::Port(key)) = (Vsid::new(spec.virtual_subnet_id), &at.key) {
            let port = Port {
                host: spec.host.clone(),
                vsid,
                mac: spec.mac_address.0,
                addresses: spec.customer_addresses.clone(),
                mode: spec.mode,
                attach: spec.attach.clone(),
            };
            self.policy.ports.insert(PortKey::clone(key), port);
        }
    }

    pub(super) fn lookup_record(&mut self, at: &Subject, document: &'d Envelope<LookupRecordSpec>) {
        let spec = &document.spec;
        let network = document.metadata.vm_network.as_deref().unwrap_or_default();
        let subnet = self.subnet(at, network, spec.virtual_subnet_id);
        self.mac(at, spec.virtual_subnet_id, spec.mac_address.0);
        if let Some(subnet) = subnet {
            self.address(
                at,
                "spec.customerAddress",
                (network, subnet),
                spec.customer_address,
            );
        }
        self.provider_address(at, "spec.providerAddress", spec.provider_address);
        if let Some(rule) = spec.rule {
            self.rule(at, "spec.rule", rule);
        }
        match spec.record_type {
            RecordType::Static | RecordType::Dynamic => {}
            RecordType::L2Only | RecordType::GatewayWildcard => {
                let what = format!("record type {:?}", spec.record_type);
                self.unsupported(at, "spec.type", &what, "use Static");
            }
        }
        if let Some(vsid) = Vsid::new(spec.virtual_subnet_id) {
            let record = LookupRecord {
                network: network.to_owned(),
                mac: spec.mac_address.0,
                pa: spec.provider_address,
                record_type: spec.record_type,
                vm_name: spec.vm_name.clone(),
            };
            let key = (vsid, spec.customer_address);
            self.policy.records.insert(key, record);
        }
    }

    fn known_host(&mut self, at: &Subject, host: &str) {
        if !self.policy.hosts.contains_key(host) {
            let message = format!("host {host} is not defined");
            let names = self.policy.hosts.keys().take(5).map(String::as_str);
            let names: Vec<&str> = names.collect();
            let hint = if names.is_empty() {
                "add a Host document".to_owned()
            } else {
                format!(
                    "add a Host document, or use a known one: {}",
                    names.join(", ")
                )
            };
            self.fault(at, "spec.host", message, hint);
            self.relates_to(Key::Host(host.to_owned()));
        }
    }

    /// The subnet of the VSID, if it belongs to the VM network.
    fn subnet(
        &mut self,
        at: &Subject,
        network: &str,
        number: u32,
    ) -> Option<&'d VirtualSubnetSpec> {
        let key = Key::VmNetwork(network.to_owned());
        if network.is_empty() {
            return None;
        }
        if !self.policy.networks.contains_key(network) {
            let message = format!("VM network {network} is not defined");
            let hint = "add a VMNetwork document, or correct the name";
            self.fault(at, "metadata.vmNetwork", message, hint);
            self.relates_to(key);
            return None;
        }
        let (message, hint) = match self.vsids.get(&number) {
            Some(place) if place.network == network => return Some(place.spec),
            Some(place) => (
                format!(
                    "VSID {number} belongs to vmnetwork/{}, not to {key}",
                    place.network
                ),
                "use a VSID of the object's own VM network",
            ),
            None => (
                format!("VSID {number} is not defined in {key}"),
                "use one of its virtualSubnets, or add it there",
            ),
        };
        self.fault(at, "spec.virtualSubnetId", message, hint);
        self.relates_to(key);
        None
    }

    fn mac(&mut self, at: &Subject, vsid: u32, mac: Mac) {
        let path = "spec.macAddress";
        let gateway = |place: &SubnetAt<'_>| gateway_mac(place.rdid) == mac;
        if !mac.is_station() {
            let message = format!("{mac} is not the address of one station");
            self.fault(at, path, message, "use a unicast MAC address");
        } else if self.vsids.get(&vsid).is_some_and(gateway) {
            let message = format!("{mac} is the gateway's MAC in this routing domain");
            self.fault(at, path, message, "use another one");
        } else if let Some(other) = self.ends.macs.get(&(vsid, mac)).cloned() {
            let message = format!("{mac} is the MAC of {other} already");
            let hint = "give each adapter of a subnet its own";
            self.fault(at, path, message, hint);
            self.relates_to(other);
        } else {
            self.ends.macs.insert((vsid, mac), at.key.clone());
        }
    }

    fn address(
        &mut self,
        at: &Subject,
        path: &str,
        (network, subnet): (&'d str, &VirtualSubnetSpec),
        ca: IpAddr,
    ) {
        if !self.customer_address(at, path, subnet, ca) {
            self.relates_to(Key::VmNetwork(network.to_owned()));
            return;
        }
        let place = self.vsids.get(&subnet.virtual_subnet_id);
        if place.is_some_and(|place| place.gateways.contains(&ca)) {
            let message = format!("{ca} is the gateway of subnet {}", subnet.name);
            self.fault(at, path, message, "use another address");
            self.relates_to(Key::VmNetwork(network.to_owned()));
        } else if let Some(other) = self.ends.addresses.get(&(network, ca)).cloned() {
            let derived = matches!((&at.key, &other), (Key::LookupRecord(..), Key::Port(_)));
            let hint = if derived {
                "remove this record, a port's records are derived"
            } else {
                "use another address"
            };
            let message = format!("{ca} is the address of {other} already");
            self.fault(at, path, message, hint);
            self.relates_to(other);
        } else {
            self.ends.addresses.insert((network, ca), at.key.clone());
        }
    }

    fn attach(&mut self, at: &Subject, host: &'d str, attach: &'d Attach) {
        let path = "spec.attach";
        let (netns, interface) = match (&attach.netns, &attach.interface, &attach.tap) {
            (Some(netns), interface, None) => {
                self.netns_name(at, "spec.attach.netns", netns);
                let interface = interface.as_deref().unwrap_or(DEFAULT_INTERFACE);
                (netns.as_str(), interface)
            }
            (None, Some(interface), None) => ("", interface.as_str()),
            (None, None, Some(tap)) => ("", tap.as_str()),
            (None, None, None) => {
                let message = "a port needs a device";
                return self.fault(at, path, message, "add netns, interface or tap");
            }
            (_, _, Some(_)) => {
                let message = "tap excludes netns and interface";
                return self.fault(at, path, message, "keep one of them");
            }
        };
        let named = match &attach.tap {
            Some(_) => "spec.attach.tap",
            None => "spec.attach.interface",
        };
        self.interface_name(at, named, interface);
        let device = (host, netns, interface);
        if let Some(other) = self.ends.devices.get(&device).cloned() {
            let message = match netns {
                "" => format!("interface {interface} of {host} is attached by {other} already"),
                _ => {
                    format!("{interface} in netns {netns} of {host} is attached by {other} already")
                }
            };
            self.fault(at, path, message, "give each port a device of its own");
            self.relates_to(other);
        } else {
            self.ends.devices.insert(device, at.key.clone());
        }
    }
}
