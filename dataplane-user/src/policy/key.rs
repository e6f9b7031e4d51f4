//! Who an object is: its kind and name.

use std::{fmt, net::IpAddr};

use super::document::Document;

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
            Document::LookupRecord(d) => {
                Self::LookupRecord(d.spec.virtual_subnet_id, d.spec.customer_address)
            }
        }
    }

    /// From a kind as in documents (any case) and a name as users write it: a
    /// port's network is given apart or as `NETWORK/NAME`, a record is `VSID/CA`.
    pub fn parse(kind: &str, name: &str, vm_network: Option<&str>) -> Option<Self> {
        match kind.to_ascii_lowercase().as_str() {
            "providernetwork" => Some(Self::ProviderNetwork(name.to_owned())),
            "host" => Some(Self::Host(name.to_owned())),
            "vmnetwork" => Some(Self::VmNetwork(name.to_owned())),
            "port" => {
                let (network, name) = match vm_network {
                    Some(network) => (network, name),
                    None => name.split_once('/')?,
                };
                Some(Self::Port(PortKey::new(network, name)))
            }
            "lookuprecord" => {
                let (vsid, ca) = name.split_once('/')?;
                Some(Self::LookupRecord(vsid.parse().ok()?, ca.parse().ok()?))
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
            Self::LookupRecord(..) => "LookupRecord",
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
            Key::ProviderNetwork("default".into()),
        ];
        for key in keys {
            let text = key.to_string();
            let (kind, name) = text.split_once('/').unwrap();
            assert_eq!(Key::parse(kind, name, None), Some(key));
        }
        assert_eq!(Key::parse("port", "vm1", None), None);
        assert_eq!(Key::parse("gateway", "x", None), None);
    }
}
