//! Programs on the uplinks.

use std::collections::BTreeMap;

use rtnetlink::Handle;

use super::{Agent, StartError, Uplink};
use crate::{
    dataplane::{Dataplane, Error, links::Device},
    netdev::{Inventory, NetDevice},
    ports::ethtool,
    settings::Settings,
};

/// The devices of the uplinks; all of them must be there.
pub(super) async fn find(
    settings: &Settings,
    netlink: &Handle,
) -> Result<Vec<NetDevice>, StartError> {
    let seen = Inventory::read(netlink).await?;
    let devices = settings.uplinks.iter().map(|name| {
        let device = seen.by_name(name).cloned();
        device.ok_or_else(|| StartError::NoUplink(name.clone()))
    });
    devices.collect()
}

/// Attaches to all uplinks.
pub(super) fn attach_all(
    dataplane: &mut Dataplane,
    settings: &Settings,
    devices: &[NetDevice],
) -> Result<BTreeMap<String, Uplink>, Error> {
    let uplinks = devices.iter().map(|device| {
        let uplink = attach(dataplane, settings, device)?;
        Ok((device.name.clone(), uplink))
    });
    uplinks.collect()
}

impl Agent {
    /// Follows uplinks that vanish, come back or change.
    pub(super) fn follow_uplinks(&mut self, seen: &Inventory, conditions: &mut Vec<String>) {
        for name in self.settings.uplinks.clone() {
            let Some(device) = seen.by_name(&name) else {
                self.uplinks.remove(&name);
                conditions.push(format!("uplink {name} is not there"));
                continue;
            };
            if !device.up {
                conditions.push(format!("uplink {name} is down"));
            }
            let known = self.uplinks.get_mut(&name);
            if let Some(uplink) = known.filter(|u| u.device.ifindex == device.ifindex)
                && self.dataplane.holds_uplink(device.ifindex, uplink.hooks)
            {
                uplink.mtu = device.mtu;
                uplink.others = self.dataplane.others(&uplink.device);
                continue;
            }
            match attach(&mut self.dataplane, &self.settings, device) {
                Ok(uplink) => drop(self.uplinks.insert(name, uplink)),
                Err(error) => conditions.push(error.to_string()),
            }
        }
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
        hooks,
        driver,
        mtu: found.mtu,
    })
}
