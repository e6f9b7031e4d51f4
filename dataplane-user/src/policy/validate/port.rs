//! Rules of `Port`.

use dataplane_common::id::Vsid;

use super::{
    Checker, Subject,
    ends::{Claim, Segment},
};
use crate::policy::{
    document::{Attach, Envelope, MssClamp, PortSpec, RecordType},
    key::Key,
    model::{Isolation, PlainPort, Port},
};

/// Name of a veth's end in a namespace unless the port says otherwise.
const DEFAULT_INTERFACE: &str = "eth0";
/// Valid segment sizes: the least is what every IPv4 host takes (RFC 9293, section 3.7.1), the
/// largest fits the largest MTU of a subnet.
const MSS: std::ops::RangeInclusive<u16> = 536..=8960;

impl<'d> Checker<'d> {
    pub(super) fn port(&mut self, at: &Subject, document: &'d Envelope<PortSpec>) {
        let spec = &document.spec;
        let network = document.metadata.vm_network.as_deref().unwrap_or_default();
        self.known_host(at, &spec.host);
        self.attach(at, &spec.host, &spec.attach);
        if let Some(MssClamp::Bytes(bytes)) = spec.mss_clamp
            && !MSS.contains(&bytes)
        {
            let message = format!("mssClamp {bytes} is out of range");
            let hint = "use 536 to 8960, or auto";
            self.fault(at, "spec.mssClamp", message, hint);
        }
        let known = self.policy.networks.get(network);
        match known.map(|network| &network.isolation) {
            None | Some(Isolation::NetworkVirtualization) => self.virtual_port(at, network, spec),
            Some(_) => self.plain_port(at, network, spec),
        }
    }

    /// A port in a virtual subnet.
    fn virtual_port(&mut self, at: &Subject, network: &'d str, spec: &'d PortSpec) {
        self.port_addresses(at, spec);
        let Some(number) = spec.virtual_subnet_id else {
            if self.network(at, network).is_some() {
                let hint = format!("add a VSID of vmnetwork/{network}");
                self.fault(at, "spec", "virtualSubnetId is missing", hint);
                self.relates_to(Key::VmNetwork(network.to_owned()));
            }
            return;
        };
        let subnet = self.subnet(at, network, number);
        self.mac(at, Segment::Subnet(number), spec.mac_address.0, claim(spec));
        if let Some(subnet) = subnet {
            for (index, ca) in spec.customer_addresses.iter().enumerate() {
                let path = format!("spec.customerAddresses[{index}]");
                self.address(at, &path, (network, subnet), *ca);
            }
        }
        let rule = self.port_rule(at, (network, subnet), spec);
        if let (Some(vsid), Key::Port(key)) = (Vsid::new(number), &at.key) {
            let port = Port {
                host: spec.host.clone(),
                vsid,
                mac: spec.mac_address.0,
                addresses: spec.customer_addresses.clone(),
                record_type: spec.record_type,
                rule,
                own_pas: spec.provider_addresses.clone(),
                use_vm_mac: spec.use_vm_mac_address,
                mss_clamp: spec.mss_clamp,
                mode: spec.mode,
                attach: spec.attach.clone(),
            };
            self.policy.ports.insert(key.clone(), port);
        }
    }

    /// Whether there are CAs is the record type's to say.
    fn port_addresses(&mut self, at: &Subject, spec: &PortSpec) {
        let path = "spec.customerAddresses";
        let none = spec.customer_addresses.is_empty();
        match spec.record_type {
            RecordType::Static if none => {
                let message = "a port needs a customer address";
                self.fault(at, path, message, "add at least one");
            }
            RecordType::L2Only if !none => {
                let message = "the addresses of a port with recordType L2Only are learned";
                let hint = "remove them, or use recordType Static";
                self.fault(at, path, message, hint);
            }
            RecordType::Static | RecordType::L2Only => {}
            RecordType::Dynamic | RecordType::GatewayWildcard => {
                let message = format!("a port has no records of type {:?}", spec.record_type);
                let hint = "use Static, or L2Only for a port whose addresses are learned";
                self.fault(at, "spec.recordType", message, hint);
            }
        }
    }

    /// A port of a VM network that is not virtualized.
    fn plain_port(&mut self, at: &Subject, network: &'d str, spec: &'d PortSpec) {
        let given = [
            ("virtualSubnetId", spec.virtual_subnet_id.is_some()),
            ("customerAddresses", !spec.customer_addresses.is_empty()),
            ("recordType", spec.record_type != RecordType::Static),
            ("rule", spec.rule.is_some()),
            ("providerAddresses", !spec.provider_addresses.is_empty()),
            ("useVmMACAddress", spec.use_vm_mac_address),
            ("mssClamp", spec.mss_clamp.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            let message =
                format!("{field} has no meaning here, as vmnetwork/{network} is not virtualized");
            self.fault(at, format!("spec.{field}"), message, "remove it");
            self.relates_to(Key::VmNetwork(network.to_owned()));
        }
        let mac = spec.mac_address.0;
        let segment = match self
            .policy
            .networks
            .get(network)
            .map(|known| &known.isolation)
        {
            Some(Isolation::Vlan { id, .. }) => Segment::Vlan(*id),
            Some(Isolation::External { .. }) => {
                let name = self.ends.externals.get(network).copied();
                Segment::Interface(&spec.host, name.unwrap_or_default())
            }
            Some(Isolation::NoIsolation | Isolation::NetworkVirtualization) | None => {
                Segment::Network(network)
            }
        };
        self.mac(at, segment, mac, Claim::Station);
        if let Key::Port(key) = &at.key {
            let port = PlainPort {
                network: network.to_owned(),
                host: spec.host.clone(),
                mac,
                mode: spec.mode,
                attach: spec.attach.clone(),
            };
            self.policy.plain_ports.insert(key.clone(), port);
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

/// A port has its MAC to itself, but for records of learned CAs.
fn claim(spec: &PortSpec) -> Claim {
    match spec.record_type {
        RecordType::L2Only => Claim::L2Only,
        RecordType::Static | RecordType::Dynamic | RecordType::GatewayWildcard => Claim::Station,
    }
}
