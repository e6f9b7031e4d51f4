//! Wanted ports against the devices that are there.
//!
//! A device is followed by what it is, not by its name: one of ours by its alias, one of others
//! by its index once the port had it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use rtnetlink::Handle;

use super::{
    guard::Reserved,
    link, names,
    state::{Attachment, Trouble, Wanted},
};
use crate::{
    netdev::{self, Inventory, NetDevice, OtherEnd},
    policy::{AttachedPort, PortKey, document::Attach},
    settings::Settings,
};

mod existing;
mod pair;
mod tap;

/// Makes and remembers devices of ports.
pub struct Manager {
    handle: Handle,
    host: String,
    reserved: Reserved,
    /// Pairs that are as they shall be.
    set_up: BTreeMap<PortKey, Pair>,
    /// Devices of others that ports had last.
    had: BTreeMap<PortKey, Had>,
}

/// A device of others that a port had.
struct Had {
    ifindex: u32,
    /// The name that the policy had for it; `None`: of an earlier nved, whose policy was the same.
    configured: Option<String>,
}

/// What was set up, to be done again when any of it changes.
#[derive(PartialEq, Eq)]
struct SetUp {
    ifindex: u32,
    tenant: OtherEnd,
    netns: (u64, u64),
    wanted: Wanted,
}

/// A pair that is set up.
struct Pair {
    as_told: SetUp,
    /// How often the carrier had come when it was last looked at; 0 before the first time.
    carrier_ups: u32,
}

impl Manager {
    /// A manager of this host's ports that speaks through `handle`.
    pub fn new(handle: Handle, settings: &Settings) -> Self {
        Self {
            handle,
            host: settings.host.clone(),
            reserved: Reserved {
                uplinks: settings.uplinks.clone(),
                ..Reserved::default()
            },
            set_up: BTreeMap::new(),
            had: BTreeMap::new(),
        }
    }

    /// Learns which devices ports had under an earlier nved.
    pub fn remember(&mut self, had: impl Iterator<Item = (PortKey, u32)>) {
        let had = had.map(|(port, ifindex)| {
            let configured = None;
            (
                port,
                Had {
                    ifindex,
                    configured,
                },
            )
        });
        self.had.extend(had);
    }

    /// From now on no port may have one of these uplinks, or a device that bears one of these
    /// addresses, nor follow a device to one of these names.
    pub fn reserve(
        &mut self,
        uplinks: BTreeSet<u32>,
        provider_addresses: Vec<IpAddr>,
        named: BTreeSet<String>,
    ) {
        self.reserved.devices = uplinks;
        self.reserved.addresses = provider_addresses;
        self.reserved.named = named;
    }

    /// Sees to a port's device.
    pub async fn ensure(
        &mut self,
        port: &PortKey,
        wanted: &Wanted,
        seen: &Inventory,
    ) -> Result<Attachment, Trouble> {
        let attach = &wanted.attach;
        match (&attach.netns, &attach.interface, &attach.tap) {
            (_, _, Some(tap)) => self.tap(port, wanted, tap, seen).await,
            (Some(netns), ..) => self.pair(port, wanted, netns, seen).await,
            (None, Some(name), None) => {
                let found = self.existing(port, name, seen);
                found.map_err(Trouble::Absent)
            }
            (None, None, None) => {
                let why = "its policy names no device";
                Err(Trouble::Absent(why.to_owned()))
            }
        }
    }

    /// The device of ours that a port has had, as it is now; `None` when it is gone.
    pub async fn former(
        &self,
        port: &PortKey,
        attach: &Attach,
        had: &AttachedPort,
        seen: &Inventory,
    ) -> Option<Attachment> {
        let found = netdev::by_index(&self.handle, had.ifindex).await;
        // Without an answer it is as it was when all were listed.
        let device = found.unwrap_or_else(|_| seen.by_index(had.ifindex).cloned())?;
        let same = device.alias == names::alias(&self.host, port, attach);
        same.then(|| Attachment::going_on(&device, had.mtu))
    }

    /// The device on which a waiting port's programs stay, so that nothing passes meanwhile.
    pub fn guarded(&self, port: &PortKey, attach: &Attach, seen: &Inventory) -> Option<u32> {
        let device = match &attach.interface {
            Some(name) if attach.netns.is_none() => self.find(port, name, seen).ok(),
            Some(_) | None => seen.by_alias(&names::alias(&self.host, port, attach)),
        };
        device.map(|device| device.ifindex)
    }

    /// Brings a device of ours up, once its programs are attached: before that, what the
    /// tenant sends would reach the host's own network stack. One of others has to be up.
    pub async fn bring_up(&self, attachment: &Attachment) -> Result<(), Trouble> {
        let name = &attachment.interface;
        if attachment.up {
            return Ok(());
        }
        if !attachment.ours {
            return Err(Trouble::Absent(format!("interface {name} is down")));
        }
        let done = link::bring_up(&self.handle, attachment.ifindex).await;
        let failed = |error| format!("interface {name}: cannot bring it up: {error}");
        done.map_err(failed).map_err(Trouble::Failed)
    }

    /// Removes the devices of ours that no port wants; their names.
    pub async fn remove_others<'p>(
        &mut self,
        wanted: impl Iterator<Item = (&'p PortKey, &'p Attach)>,
        seen: &Inventory,
    ) -> Vec<String> {
        let wanted: BTreeMap<&PortKey, &Attach> = wanted.collect();
        self.set_up.retain(|port, _| wanted.contains_key(port));
        self.had.retain(|port, _| wanted.contains_key(port));
        let aliases: BTreeSet<String> = wanted
            .iter()
            .map(|(port, attach)| names::alias(&self.host, port, attach))
            .collect();
        let others = seen.devices().filter(|device| {
            // One that left and came back may meet the one that took its place meanwhile.
            let twin = seen.by_alias(&device.alias) != Some(device);
            let wanted = aliases.contains(&device.alias) && !twin;
            names::is_ours(&self.host, &device.alias) && !wanted
        });
        self.remove(others).await
    }

    /// Removes the devices that an nved with another `--host` made, where their programs were
    /// ours, that is, pinned in our folder; their names.
    pub async fn remove_of_other_hosts(
        &self,
        detached: &BTreeSet<u32>,
        seen: &Inventory,
    ) -> Vec<String> {
        let theirs = seen.devices().filter(|device| {
            let alias = &device.alias;
            let port = names::is_port(alias) && !names::is_ours(&self.host, alias);
            (port || names::is_upcall_of_another(&self.host, alias))
                && detached.contains(&device.ifindex)
        });
        self.remove(theirs).await
    }

    async fn remove(&self, devices: impl Iterator<Item = &NetDevice>) -> Vec<String> {
        let mut removed = Vec::new();
        for device in devices {
            match link::remove(&self.handle, device.ifindex).await {
                Ok(()) => removed.push(device.name.clone()),
                Err(error) => {
                    tracing::warn!("interface {}: cannot remove it: {error}", device.name);
                }
            }
        }
        removed
    }

    /// Sets back an MTU that somebody changed: on a device of ours the policy decides.
    async fn hold_mtu(&self, device: &NetDevice, mtu: u16) -> Result<(), Trouble> {
        if device.mtu == u32::from(mtu) {
            return Ok(());
        }
        let done = link::set_mtu(&self.handle, device.ifindex, mtu).await;
        done.map_err(|error| {
            let name = &device.name;
            Trouble::Failed(format!(
                "interface {name}: cannot set its MTU to {mtu}: {error}"
            ))
        })
    }
}
