//! Devices that no port may take: what the host itself lives on.

use std::{collections::BTreeSet, net::IpAddr};

use super::names;
use crate::netdev::{Inventory, NetDevice};

/// What the host keeps for itself.
#[derive(Clone, Debug, Default)]
pub struct Reserved {
    /// Its uplinks, by name.
    pub uplinks: Vec<String>,
    /// Its uplinks, by index: they may have got other names.
    pub devices: BTreeSet<u32>,
    /// Its provider addresses.
    pub addresses: Vec<IpAddr>,
    /// Names of devices that ports ask for; a port that follows a renamed device keeps off them.
    pub named: BTreeSet<String>,
}

impl Reserved {
    /// Why a port may not have this device; `None` when it may.
    pub fn refuses(&self, device: &NetDevice, seen: &Inventory) -> Option<String> {
        let bears = |address: &&IpAddr| {
            let mut bearers = seen.bearers(**address);
            bearers.any(|bearer| bearer.ifindex == device.ifindex)
        };
        let what = if self.uplinks.contains(&device.name) || self.devices.contains(&device.ifindex)
        {
            "is an uplink".to_owned()
        } else if device.ifindex == LOOPBACK {
            "is the loopback".to_owned()
        } else if let Some(address) = self.addresses.iter().find(bears) {
            format!("bears provider address {address} of this host")
        } else if names::is_port(&device.alias) {
            format!("is already of a port ({})", device.alias)
        } else if names::is_upcall(&device.alias) {
            "is an end of the upcall pair".to_owned()
        } else {
            return None;
        };
        let name = &device.name;
        Some(format!("interface {name} {what}; name a tenant's device"))
    }
}

/// Its index in every namespace (the kernel's `LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str, ifindex: u32, alias: &str) -> Option<String> {
        let reserved = Reserved {
            uplinks: vec!["eth0".into()],
            devices: BTreeSet::from([9]),
            ..Reserved::default()
        };
        let device = NetDevice {
            ifindex,
            name: name.into(),
            alias: alias.into(),
            ..NetDevice::default()
        };
        reserved.refuses(&device, &Inventory::default())
    }

    #[test]
    fn what_the_host_needs_is_refused() {
        assert_eq!(
            refusal("eth0", 2, "").as_deref(),
            Some("interface eth0 is an uplink; name a tenant's device")
        );
        assert!(refusal("wan0", 9, "").is_some_and(|why| why.contains("is an uplink")));
        assert!(refusal("lo", 1, "").is_some_and(|why| why.contains("is the loopback")));
        let alias = "nve host-b port blue/vm1";
        assert!(refusal("nve0", 3, alias).is_some_and(|why| why.contains(alias)));
        let alias = names::upcall("host-b", "near");
        assert!(refusal("nve-up0", 5, &alias).is_some_and(|why| why.contains("upcall pair")));
        assert_eq!(refusal("tap7", 4, "of vm7"), None);
    }
}
