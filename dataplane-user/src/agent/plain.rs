//! What is behind ports that are not virtualized: the uplink's VLANs and external interfaces.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Agent, reconcile::tell, wanted::ours_plain};
use crate::{
    dataplane::links::Device,
    netdev::{Inventory, NetDevice},
    policy::{
        Links, Policy,
        model::{Isolation, PlainPort},
    },
    ports::{Wanted, link, names},
    store::{
        Store,
        objects::{load_local, save_local},
    },
};

/// What this nved did to devices behind ports that are not virtualized.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// The first of the uplinks in the settings.
    uplink: String,
    /// External interfaces with our program, by name.
    external: BTreeMap<String, u32>,
    /// Why others have none.
    refused: BTreeMap<String, String>,
    /// Devices that take frames for any MAC because of us. They are kept in the store, because they do
    /// so when nved is gone, and only what nobody else has set is set back.
    promiscuous: BTreeSet<Promiscuous>,
}

/// A device by name and index: one that is removed and made anew is another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Promiscuous {
    name: String,
    ifindex: u32,
}

/// Its name in the store.
const RECORD: &str = "promiscuous";

impl Plain {
    /// What the store remembers; nothing when it cannot be read, which costs little.
    pub(super) async fn known(store: &dyn Store, host: &str) -> Self {
        let known = load_local(store, host, RECORD).await;
        let told = known
            .inspect_err(|error| tracing::warn!("promiscuous devices are not remembered: {error}"));
        Self {
            promiscuous: told.ok().flatten().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// External interfaces with our program.
    pub(super) fn devices(&self) -> impl Iterator<Item = u32> {
        self.external.values().copied()
    }

    /// Why there is nothing behind a port of this isolation; `None` when there is.
    pub(super) fn missing(&self, links: &Links, isolation: &Isolation) -> Option<String> {
        match isolation {
            Isolation::NoIsolation | Isolation::NetworkVirtualization => None,
            Isolation::Vlan { .. } if links.uplink.is_some() => None,
            Isolation::Vlan { .. } => Some(format!("uplink {} is not there", self.uplink)),
            Isolation::External { interface } if links.external.contains_key(interface) => None,
            Isolation::External { interface } => {
                let why = self.refused.get(interface).cloned();
                Some(why.unwrap_or_else(|| format!("interface {interface} is not there")))
            }
        }
    }
}

impl Agent {
    /// Follows the uplink and the external interfaces that this host's ports need.
    pub(super) async fn follow_links(
        &mut self,
        policy: &Policy,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) {
        let host = self.settings.host.clone();
        let ports = ours_plain(policy, &host);
        let networks = ports.filter_map(|(_, port)| policy.networks.get(&port.network));
        let (mut wanted, mut vlans) = (BTreeSet::new(), false);
        for network in networks {
            match &network.isolation {
                Isolation::External { interface } => drop(wanted.insert(interface.clone())),
                Isolation::Vlan { .. } => vlans = true,
                Isolation::NoIsolation | Isolation::NetworkVirtualization => {}
            }
        }
        self.plain.uplink = self.settings.uplinks.first().cloned().unwrap_or_default();
        self.plain.external.retain(|name, _| wanted.contains(name));
        self.plain.refused.clear();
        for name in wanted {
            match self.external(&name, seen) {
                Ok(ifindex) => drop(self.plain.external.insert(name, ifindex)),
                Err(why) => {
                    self.plain.external.remove(&name);
                    self.plain.refused.insert(name, why);
                }
            }
        }
        let links = self.links();
        let uplink = links.uplink.filter(|_| vlans);
        let devices = links.external.into_values().chain(uplink).collect();
        self.follow_promiscuity(&devices, seen, conditions).await;
    }

    /// Attaches to an external interface; its index, or why it cannot be one.
    fn external(&mut self, name: &str, seen: &Inventory) -> Result<u32, String> {
        let found = seen.by_name(name);
        let found = found.ok_or_else(|| format!("interface {name} is not there"))?;
        let ifindex = found.ifindex;
        if let Some(what) = self.taken(found) {
            return Err(format!(
                "interface {name} {what}; name another externalInterface"
            ));
        }
        if !found.up {
            return Err(format!("interface {name} is down"));
        }
        let held = self.plain.external.get(name) == Some(&ifindex);
        if !held || !self.dataplane.holds_external(ifindex) {
            let device = Device {
                name: name.to_owned(),
                ifindex,
            };
            let done = self.dataplane.attach_external(&device);
            done.map_err(|error| error.to_string())?;
        }
        Ok(ifindex)
    }

    /// What a device is already.
    fn taken(&self, device: &NetDevice) -> Option<&'static str> {
        let ifindex = device.ifindex;
        if self.uplink_devices().contains(&ifindex) || self.settings.uplinks.contains(&device.name)
        {
            Some("is an uplink")
        } else if names::is_port(&device.alias) || self.image.vports.contains_key(&ifindex) {
            Some("is of a port")
        } else if names::is_upcall(&device.alias) {
            Some("is an end of the upcall pair")
        } else {
            None
        }
    }

    /// What is there of what the ports need.
    pub(super) fn links(&self) -> Links {
        let uplink = self.uplinks.get(&self.plain.uplink);
        Links {
            uplink: uplink.map(|uplink| uplink.device.ifindex),
            external: self.plain.external.clone(),
        }
    }

    /// The device of a port that is not virtualized: as large packets as what is behind it.
    pub(super) fn wanted_plain(
        &self,
        port: &PlainPort,
        isolation: &Isolation,
        seen: &Inventory,
    ) -> Wanted {
        let links = self.links();
        let behind = match isolation {
            Isolation::External { interface } => links.external.get(interface).copied(),
            Isolation::NoIsolation | Isolation::NetworkVirtualization | Isolation::Vlan { .. } => {
                links.uplink
            }
        };
        let behind = behind.and_then(|ifindex| seen.by_index(ifindex));
        let known = self.known_uplinks.get(&self.plain.uplink);
        let mtu = behind.map(|device| device.mtu);
        let mtu = mtu.or(known.map(|uplink| uplink.mtu)).unwrap_or(1500);
        Wanted {
            attach: port.attach.clone(),
            mac: port.mac,
            addresses: Vec::new(),
            gateways: Vec::new(),
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            of_host: *isolation == Isolation::NoIsolation,
        }
    }

    /// Lets these devices take frames for the ports' MACs, and those that need not any more be as
    /// they were.
    async fn follow_promiscuity(
        &mut self,
        wanted: &BTreeSet<u32>,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) {
        let devices = wanted.iter().filter_map(|ifindex| seen.by_index(*ifindex));
        let set: Vec<Promiscuous> = devices
            .filter(|device| !device.promiscuous)
            .map(|device| Promiscuous {
                name: device.name.clone(),
                ifindex: device.ifindex,
            })
            .collect();
        let before = self.plain.promiscuous.clone();
        self.plain.promiscuous.extend(set.iter().cloned());
        if self.plain.promiscuous != before && !self.keep_promiscuous(conditions).await {
            // What nobody would set back is not set.
            self.plain.promiscuous = before;
            return;
        }
        for device in set {
            let done = link::set_promiscuous(&self.netlink, device.ifindex, true).await;
            if let Err(error) = done {
                let name = device.name;
                tell(
                    conditions,
                    format!("interface {name} cannot be made promiscuous: {error}"),
                );
            }
        }
        let idle = self.plain.promiscuous.iter();
        let idle: Vec<_> = idle
            .filter(|d| !wanted.contains(&d.ifindex))
            .cloned()
            .collect();
        if idle.is_empty() {
            return;
        }
        for device in &idle {
            self.set_back(device, seen).await;
            self.plain.promiscuous.remove(device);
        }
        self.keep_promiscuous(conditions).await;
    }

    /// All devices are as they were.
    pub(super) async fn restore_promiscuity(&mut self, seen: &Inventory) {
        self.follow_promiscuity(&BTreeSet::new(), seen, &mut Vec::new())
            .await;
    }

    async fn set_back(&self, device: &Promiscuous, seen: &Inventory) {
        let same = seen.by_index(device.ifindex);
        if same.is_none_or(|now| !now.promiscuous) {
            return;
        }
        if let Err(error) = link::set_promiscuous(&self.netlink, device.ifindex, false).await {
            tracing::warn!("interface {} stays promiscuous: {error}", device.name);
        }
    }

    async fn keep_promiscuous(&self, conditions: &mut Vec<String>) -> bool {
        let devices = &self.plain.promiscuous;
        let saved = save_local(&*self.store, &self.settings.host, RECORD, devices).await;
        saved
            .map_err(|error| tell(conditions, error.to_string()))
            .is_ok()
    }
}
