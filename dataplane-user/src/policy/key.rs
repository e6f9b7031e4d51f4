//! Who an object is: its kind and name.

use std::{fmt, net::IpAddr};

use dataplane_common::id::Mac;

use super::document::{Document, MacAddress, RecordType};

/// Identity of an object, as users write it and as the store orders it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The provider network of this name.
    ProviderNetwork(String),
    /// The host of this name.
    Host(String),
    /// The VM network of this name.
    VmNetwork(String),
    /// A port.
    Port(PortKey),
    /// The lookup record of a CA in a VSID.
    LookupRecord(u32, IpAddr),
    /// The lookup record of a MAC in a VSID (type `L2Only`).
    L2Record(u32, Mac),
    /// The customer route of this name in a VM network.
    CustomerRoute(String, String),
}

/// Identity of a port: its name is unique in its VM network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey {
    /// Name of the VM network.
    pub vm_network: String,
    /// Name of the port.
    pub name: String,
}

impl Key {
    /// The identity of a document; empty where a name is missing.
    pub fn of(document: &Document) -> Self {
        let text = |name: &Option<String>| name.clone().unwrap_or_default();
        match document {
            Document::ProviderNetwork(d) => Self::ProviderNetwork(text(&d.metadata.name)),
            Document::Host(d) => Self::Host(text(&d.metadata.name)),
            Document::VMNetwork(d) => Self::VmNetwork(text(&d.metadata.name)),
            Document::Port(d) => Self::Port(PortKey {
                vm_network: text(&d.metadata.vm_network),
                name: text(&d.metadata.name),
            }),
            Document::LookupRecord(d) if d.spec.record_type == RecordType::L2Only => {
                Self::L2Record(d.spec.virtual_subnet_id, d.spec.mac_address.0)
            }
            Document::LookupRecord(d) => {
                Self::LookupRecord(d.spec.virtual_subnet_id, d.spec.customer_address)
            }
            Document::CustomerRoute(d) => {
                Self::CustomerRoute(text(&d.metadata.vm_network), text(&d.metadata.name))
            }
        }
    }

    /// From a kind as in documents (any case) and a name as users write it: a port's or
    /// route's network is given apart or as `NETWORK/NAME`, a record is `VSID/CA` or `VSID/MAC`.
    pub fn parse(kind: &str, name: &str, vm_network: Option<&str>) -> Option<Self> {
        let in_network = || match vm_network {
            Some(network) => Some((network, name)),
            None => name.split_once('/'),
        };
        match kind.to_ascii_lowercase().as_str() {
            "providernetwork" => Some(Self::ProviderNetwork(name.to_owned())),
            "host" => Some(Self::Host(name.to_owned())),
            "vmnetwork" => Some(Self::VmNetwork(name.to_owned())),
            "port" => {
                let (network, name) = in_network()?;
                Some(Self::Port(PortKey::new(network, name)))
            }
            "customerroute" => {
                let (network, name) = in_network()?;
                Some(Self::CustomerRoute(network.to_owned(), name.to_owned()))
            }
            "lookuprecord" => {
                let (vsid, address) = name.split_once('/')?;
                let vsid = vsid.parse().ok()?;
                match (address.parse(), address.parse()) {
                    (Ok(ca), _) => Some(Self::LookupRecord(vsid, ca)),
                    (_, Ok(MacAddress(mac))) => Some(Self::L2Record(vsid, mac)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The kind as in documents.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ProviderNetwork(_) => "ProviderNetwork",
            Self::Host(_) => "Host",
            Self::VmNetwork(_) => "VMNetwork",
            Self::Port(_) => "Port",
            Self::LookupRecord(..) | Self::L2Record(..) => "LookupRecord",
            Self::CustomerRoute(..) => "CustomerRoute",
        }
    }
}

impl PortKey {
    /// From its parts.
    pub fn new(vm_network: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            vm_network: vm_network.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vm_network, self.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProviderNetwork(name) => write!(f, "providernetwork/{name}"),
            Self::Host(name) => write!(f, "host/{name}"),
            Self::VmNetwork(name) => write!(f, "vmnetwork/{name}"),
            Self::Port(port) => write!(f, "port/{port}"),
            Self::LookupRecord(vsid, ca) => write!(f, "lookuprecord/{vsid}/{ca}"),
            Self::L2Record(vsid, mac) => write!(f, "lookuprecord/{vsid}/{mac}"),
            Self::CustomerRoute(network, name) => write!(f, "customerroute/{network}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_parsed() {
        let keys = [
            Key::Host("host-a".into()),
            Key::VmNetwork("blue".into()),
            Key::Port(PortKey::new("blue", "vm1")),
            Key::LookupRecord(6001, "10.0.0.9".parse().unwrap()),
            Key::LookupRecord(6001, "fd00::9".parse().unwrap()),
            Key::LookupRecord(6001, "::".parse().unwrap()),
            Key::L2Record(6001, Mac([2, 0, 0, 0, 0, 9])),
            Key::CustomerRoute("blue".into(), "default".into()),
            Key::ProviderNetwork("default".into()),
        ];
        for key in keys {
            let text = key.to_string();
            let (kind, name) = text.split_once('/').unwrap();
            assert_eq!(Key::parse(kind, name, None), Some(key));
        }
        assert_eq!(Key::parse("port", "vm1", None), None);
        assert_eq!(Key::parse("customerroute", "default", None), None);
        assert_eq!(Key::parse("lookuprecord", "6001/web", None), None);
        assert_eq!(Key::parse("gateway", "x", None), None);
    }
}
