//! The uplinks: which device each is, and the programs on it.

use std::collections::{BTreeMap, BTreeSet};

use dataplane_common::id::Mac;
use rtnetlink::Handle;
use serde::{Deserialize, Serialize};

use super::{Agent, StartError, Uplink, reconcile::tell};
use crate::{
    dataplane::{
        Dataplane, Error,
        links::{Device, is_pinned},
    },
    netdev::{Inventory, NetDevice},
    policy::document::MacAddress,
    ports::ethtool,
    settings::Settings,
    store::{
        Store,
        objects::{load_local, save_local},
    },
};

/// The device that an uplink last was, by the name in the settings. It is kept in the store, so
/// that a device that is late at boot is told from a name that is wrong.
pub(super) type Known = BTreeMap<String, Trait>;

/// By what a device is known again, and its MTU in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trait {
    ifindex: u32,
    mac: MacAddress,
    pub(super) mtu: u32,
}

impl Trait {
    fn of(device: &NetDevice) -> Self {
        Self {
            ifindex: device.ifindex,
            mac: MacAddress(device.mac),
            mtu: device.mtu,
        }
    }
}

/// What the store remembers of the uplinks; nothing when it cannot be read, which costs little.
pub(super) async fn known(store: &dyn Store, host: &str) -> Known {
    let known = load_local(store, host, RECORD).await;
    let told = known.inspect_err(|error| tracing::warn!("the uplinks are not remembered: {error}"));
    told.ok().flatten().unwrap_or_default()
}

/// Its name in the store.
const RECORD: &str = "uplinks";

/// The devices of the uplinks that are there. One that is not must be known from before.
pub(super) async fn find(
    settings: &Settings,
    netlink: &Handle,
    known: &Known,
) -> Result<BTreeMap<String, NetDevice>, StartError> {
    let seen = Inventory::read(netlink).await?;
    let attached = known
        .iter()
        .filter(|(_, was)| is_pinned(&settings.pin, was.ifindex));
    let former = attached.map(|(name, was)| (name.clone(), (was.ifindex, was.mac.0)));
    let found = locate(&settings.uplinks, &former.collect(), &seen);
    let missing = |name: &&String| !found.contains_key(*name) && !known.contains_key(*name);
    match settings.uplinks.iter().find(missing) {
        Some(name) => Err(StartError::NoUplink(name.clone())),
        None => Ok(found),
    }
}

/// Attaches to all uplinks that let it; one that does not is tried again each round. An error
/// when nothing at all is attached, nor was by an earlier nved.
pub(super) fn attach_all(
    dataplane: &mut Dataplane,
    settings: &Settings,
    devices: &BTreeMap<String, NetDevice>,
    adopted: bool,
) -> Result<BTreeMap<String, Uplink>, Error> {
    let (mut uplinks, mut failed) = (BTreeMap::new(), None);
    for (name, device) in devices {
        match attach(dataplane, settings, device) {
            Ok(uplink) => drop(uplinks.insert(name.clone(), uplink)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if uplinks.is_empty() && !adopted => Err(error),
        Some(error) => {
            tracing::warn!("{error}");
            Ok(uplinks)
        }
        None => Ok(uplinks),
    }
}

/// The device of each uplink: the one with its name, else the one that it was when programs were
/// attached to it (same index and MAC), which has another name now.
fn locate(
    names: &[String],
    former: &BTreeMap<String, (u32, Mac)>,
    seen: &Inventory,
) -> BTreeMap<String, NetDevice> {
    let named = |name: &String| Some((name.clone(), seen.by_name(name)?.clone()));
    let mut found: BTreeMap<_, _> = names.iter().filter_map(named).collect();
    for name in names {
        let was = former.get(name).filter(|_| !found.contains_key(name));
        let device = was.and_then(|(ifindex, mac)| {
            let device = seen.by_index(*ifindex)?;
            (device.mac == *mac).then_some(device)
        });
        let free = |device: &&NetDevice| !names.contains(&device.name);
        if let Some(device) = device.filter(free) {
            found.insert(name.clone(), device.clone());
        }
    }
    found
}

impl Agent {
    /// Follows uplinks that vanish, come back or change.
    pub(super) async fn follow_uplinks(&mut self, seen: &Inventory, conditions: &mut Vec<String>) {
        let former = self.uplinks.iter().map(|(name, uplink)| {
            let device = (uplink.device.ifindex, uplink.mac);
            (name.clone(), device)
        });
        let found = locate(&self.settings.uplinks, &former.collect(), seen);
        for name in self.settings.uplinks.clone() {
            if let Some(device) = found.get(&name) {
                self.follow_uplink(&name, device, conditions);
            } else {
                conditions.push(format!("uplink {name} is not there"));
                self.leave_uplink(&name, conditions);
            }
        }
        self.keep_known(&found, conditions).await;
    }

    fn follow_uplink(&mut self, name: &str, device: &NetDevice, conditions: &mut Vec<String>) {
        if device.name != name {
            conditions.push(format!(
                "uplink {name} is called {0} now and goes on; name {0} in --uplink before the next start",
                device.name
            ));
        }
        if !device.up {
            conditions.push(format!("uplink {} is down", device.name));
        } else if !device.carrier {
            conditions.push(format!("uplink {} has no carrier", device.name));
        }
        let same = |uplink: &&mut Uplink| uplink.device.ifindex == device.ifindex;
        if let Some(uplink) = self.uplinks.get_mut(name).filter(same) {
            let untouched = uplink.mac == device.mac;
            uplink.device.name.clone_from(&device.name);
            (uplink.mac, uplink.mtu) = (device.mac, device.mtu);
            // With its index and MAC it may still be a new device, or one that was elsewhere.
            if untouched && self.dataplane.holds_uplink(device.ifindex, uplink.hooks) {
                uplink.others = self.dataplane.others(&uplink.device);
                return;
            }
        } else {
            self.leave_uplink(name, conditions);
        }
        match attach(&mut self.dataplane, &self.settings, device) {
            Ok(uplink) => drop(self.uplinks.insert(name.to_owned(), uplink)),
            Err(error) => conditions.push(error.to_string()),
        }
    }

    /// Takes the programs from the device that an uplink was, wherever that is now: in another
    /// namespace it is somebody else's.
    fn leave_uplink(&mut self, name: &str, conditions: &mut Vec<String>) {
        let Some(uplink) = self.uplinks.remove(name) else {
            return;
        };
        tracing::info!(
            "uplink {name} is interface {} no more",
            uplink.device.ifindex
        );
        self.resolver.leave([uplink.device.ifindex]);
        let used = |other: &Uplink| other.device.ifindex == uplink.device.ifindex;
        if self.uplinks.values().any(used) {
            return;
        }
        if let Err(error) = self.dataplane.detach(uplink.device.ifindex) {
            conditions.push(error.to_string());
        }
    }

    /// Keeps in the store what the uplinks are.
    async fn keep_known(
        &mut self,
        found: &BTreeMap<String, NetDevice>,
        conditions: &mut Vec<String>,
    ) {
        let (known, names) = (&mut self.known_uplinks, &self.settings.uplinks);
        known.retain(|name, _| names.contains(name));
        let attached = self
            .uplinks
            .keys()
            .filter_map(|name| found.get_key_value(name));
        known.extend(attached.map(|(name, device)| (name.clone(), Trait::of(device))));
        let now = (self.source.store, known.clone());
        if self.saved_uplinks == now {
            return;
        }
        match save_local(&*self.store, &self.settings.host, RECORD, known).await {
            Ok(()) => self.saved_uplinks = now,
            Err(error) => tell(conditions, error.to_string()),
        }
    }

    /// The uplinks' devices.
    pub(super) fn uplink_devices(&self) -> BTreeSet<u32> {
        let uplinks = self.uplinks.values();
        uplinks.map(|uplink| uplink.device.ifindex).collect()
    }
}

fn attach(
    dataplane: &mut Dataplane,
    settings: &Settings,
    found: &NetDevice,
) -> Result<Uplink, Error> {
    let device = Device {
        name: found.name.clone(),
        ifindex: found.ifindex,
    };
    // A device without the ioctl has no name for its driver either.
    let driver = ethtool::driver(&found.name).unwrap_or_default();
    let hooks = dataplane.attach_uplink(&device, &driver, settings.uplink_mode)?;
    tracing::info!("uplink {} uses {}", found.name, hooks.as_str());
    Ok(Uplink {
        others: dataplane.others(&device),
        device,
        mac: found.mac,
        hooks,
        driver,
        mtu: found.mtu,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    /// The uplinks eth0 and eth1; eth0 was device 7 until now.
    fn found(devices: &[(u32, &str, Mac)]) -> Vec<(String, u32)> {
        let names = ["eth0".to_owned(), "eth1".to_owned()];
        let former = BTreeMap::from([("eth0".to_owned(), (7, MAC))]);
        let device = |(ifindex, name, mac): &(u32, &str, Mac)| NetDevice {
            ifindex: *ifindex,
            name: (*name).to_owned(),
            mac: *mac,
            ..NetDevice::default()
        };
        let seen = devices.iter().map(device).collect();
        let found = locate(&names, &former, &seen);
        let index = |(name, device): (String, NetDevice)| (name, device.ifindex);
        found.into_iter().map(index).collect()
    }

    #[test]
    fn a_name_wins_and_a_renamed_device_is_followed() {
        let other = Mac([2, 0, 0, 0, 0, 9]);
        assert_eq!(found(&[(7, "wan0", MAC)]), [("eth0".to_owned(), 7)]);
        let both = [(7, "wan0", MAC), (9, "eth0", other)];
        assert_eq!(found(&both), [("eth0".to_owned(), 9)]);
        // The index is of another device now.
        assert_eq!(found(&[(7, "wan0", other)]), []);
        // It is eth1 by its name, and one device is one uplink.
        assert_eq!(found(&[(7, "eth1", MAC)]), [("eth1".to_owned(), 7)]);
    }
}
