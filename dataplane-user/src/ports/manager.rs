//! Wanted ports against the devices that are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use rtnetlink::Handle;

use super::{
    guard::Reserved,
    names,
    netns::{NetNs, NetNsError, TenantEnd},
    state::{Attachment, State, Wanted},
    veth::{self, Pair},
};
use crate::{
    netdev::{Inventory, NetDevice},
    policy::{PortKey, document::Attach},
    settings::Settings,
};

/// Makes and remembers devices of ports.
pub struct Manager {
    handle: Handle,
    host: String,
    reserved: Reserved,
    set_up: BTreeMap<PortKey, SetUp>,
}

/// What was set up, to be done again when any of it changes.
#[derive(PartialEq, Eq)]
struct SetUp {
    ifindex: u32,
    netns: (u64, u64),
    wanted: Wanted,
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
        }
    }

    /// From now on no port may have one of these devices, or one that bears such an address.
    pub fn reserve(&mut self, uplinks: BTreeSet<u32>, provider_addresses: Vec<IpAddr>) {
        self.reserved.devices = uplinks;
        self.reserved.addresses = provider_addresses;
    }

    /// Sees to a port's device.
    pub async fn ensure(&mut self, port: &PortKey, wanted: &Wanted, seen: &Inventory) -> State {
        let attach = &wanted.attach;
        match (&attach.netns, &attach.interface, &attach.tap) {
            (Some(netns), _, None) => self
                .netns(port, wanted, netns, seen)
                .await
                .map_or_else(State::Pending, State::Ready),
            (None, Some(name), None) => self.existing(name, seen),
            _ => {
                State::Pending("attach by tap is not supported yet; use netns or interface".into())
            }
        }
    }

    /// The device on which a waiting port's programs stay, so that nothing passes meanwhile.
    pub fn guarded(&self, port: &PortKey, attach: &Attach, seen: &Inventory) -> Option<u32> {
        let device = if attach.netns.is_some() {
            let alias = names::alias(&self.host, port);
            let device = seen.by_name(&names::device(&self.host, port));
            device.filter(|device| device.alias == alias)
        } else {
            let device = seen.by_name(attach.interface.as_deref()?);
            device.filter(|device| self.reserved.refuses(device, seen).is_none())
        };
        device.map(|device| device.ifindex)
    }

    /// Brings a device of ours up, once its programs are attached: before that, what the
    /// tenant sends would reach the host's own network stack.
    pub async fn bring_up(&self, attachment: &Attachment) -> Result<(), String> {
        if attachment.up {
            return Ok(());
        }
        let done = veth::bring_up(&self.handle, attachment.ifindex).await;
        done.map_err(|error| {
            format!(
                "interface {}: cannot bring it up: {error}",
                attachment.interface
            )
        })
    }

    /// Removes the pairs of ours that no port wants; their names.
    pub async fn remove_others(
        &mut self,
        wanted: &BTreeSet<PortKey>,
        seen: &Inventory,
    ) -> Vec<String> {
        self.set_up.retain(|port, _| wanted.contains(port));
        let aliases: BTreeSet<String> = wanted
            .iter()
            .map(|port| names::alias(&self.host, port))
            .collect();
        let others = seen.devices().filter(|device| {
            names::is_ours(&self.host, &device.alias) && !aliases.contains(&device.alias)
        });
        self.remove(others).await
    }

    /// Removes the pairs that an nved with another `--host` made, where their programs were
    /// ours, that is, pinned in our folder; their names.
    pub async fn remove_of_other_hosts(
        &self,
        detached: &BTreeSet<u32>,
        seen: &Inventory,
    ) -> Vec<String> {
        let theirs = seen.devices().filter(|device| {
            let alias = &device.alias;
            names::is_port(alias)
                && !names::is_ours(&self.host, alias)
                && detached.contains(&device.ifindex)
        });
        self.remove(theirs).await
    }

    async fn remove(&self, devices: impl Iterator<Item = &NetDevice>) -> Vec<String> {
        let mut removed = Vec::new();
        for device in devices {
            match veth::remove(&self.handle, device.ifindex).await {
                Ok(()) => removed.push(device.name.clone()),
                Err(error) => {
                    tracing::warn!("interface {}: cannot remove it: {error}", device.name);
                }
            }
        }
        removed
    }

    async fn netns(
        &mut self,
        port: &PortKey,
        wanted: &Wanted,
        name: &str,
        seen: &Inventory,
    ) -> Result<Attachment, String> {
        let netns = NetNs::open(name)
            .map_err(|error| format!("network namespace {name}: {error}"))?
            .ok_or_else(|| format!("network namespace {name} is not there"))?;
        let alias = names::alias(&self.host, port);
        let device = names::device(&self.host, port);
        if let Some(found) = seen.by_name(&device) {
            if found.alias != alias {
                return Err(format!("interface {device} exists and is not nved's"));
            }
            let now = SetUp {
                ifindex: found.ifindex,
                netns: netns.identity,
                wanted: wanted.clone(),
            };
            if self.set_up.get(port) == Some(&now) && found.mtu == u32::from(wanted.mtu) {
                return Ok(Attachment::of(found));
            }
        }
        let ifindex = self
            .make(port, wanted, &netns, seen)
            .await
            .map_err(|error| format!("network namespace {name}: {error}"))?;
        let done = SetUp {
            ifindex,
            netns: netns.identity,
            wanted: wanted.clone(),
        };
        self.set_up.insert(port.clone(), done);
        Ok(Attachment {
            interface: device,
            ifindex,
            mtu: wanted.mtu,
            peer: true,
            up: seen.by_index(ifindex).is_some_and(|device| device.up),
        })
    }

    /// Makes the pair, or adopts it when its other end is in the right place, and sets up both
    /// ends; a new one's end here stays down.
    async fn make(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        netns: &NetNs,
        seen: &Inventory,
    ) -> Result<u32, NetNsError> {
        let (name, alias) = (
            names::device(&self.host, port),
            names::alias(&self.host, port),
        );
        let tenant = wanted.attach.interface.as_deref().unwrap_or("eth0");
        let pair = Pair {
            name: &name,
            alias: &alias,
            tenant,
            mac: wanted.mac,
            mtu: wanted.mtu.into(),
        };
        let old = seen.by_name(&name).map(|device| device.ifindex);
        let ifindex = match old {
            Some(ifindex) if self.fits(port, wanted, netns, (tenant, ifindex)).await? => ifindex,
            old => self.renew(&pair, netns, old).await?,
        };
        veth::configure(&self.handle, ifindex, &pair)
            .await
            .map_err(failed("set up the host's end"))?;
        let end = TenantEnd {
            interface: tenant.to_owned(),
            addresses: wanted.addresses.clone(),
            gateways: wanted.gateways.clone(),
            mtu: wanted.mtu.into(),
        };
        netns.configure(end).await?;
        Ok(ifindex)
    }

    /// Whether an existing pair can stay: its other end is the wanted device, and nothing but
    /// the MTU changed since we set it up.
    async fn fits(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        netns: &NetNs,
        (tenant, ifindex): (&str, u32),
    ) -> Result<bool, NetNsError> {
        if let Some(was) = self.set_up.get(port) {
            let mut then = was.wanted.clone();
            then.mtu = wanted.mtu;
            if then != *wanted {
                return Ok(false);
            }
        }
        let other = netns.find(tenant).await?;
        Ok(other.is_some_and(|(_, link)| link == ifindex))
    }

    async fn renew(
        &self,
        pair: &Pair<'_>,
        netns: &NetNs,
        old: Option<u32>,
    ) -> Result<u32, NetNsError> {
        if let Some(ifindex) = old {
            veth::remove(&self.handle, ifindex)
                .await
                .map_err(failed("remove the former veth"))?;
        }
        veth::create(&self.handle, pair, netns)
            .await
            .map_err(failed("make the veth"))?;
        let seen = Inventory::read(&self.handle)
            .await
            .map_err(failed("list interfaces"))?;
        seen.by_name(pair.name)
            .map(|device| device.ifindex)
            .ok_or_else(|| NetNsError::Absent(pair.name.to_owned()))
    }

    fn existing(&self, name: &str, seen: &Inventory) -> State {
        let Some(device) = seen.by_name(name) else {
            return State::Pending(format!("interface {name} is not there"));
        };
        if let Some(refusal) = self.reserved.refuses(device, seen) {
            return State::Pending(refusal);
        }
        if !device.up {
            return State::Pending(format!("interface {name} is down"));
        }
        State::Ready(Attachment::of(device))
    }
}

fn failed(what: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetNsError {
    move |source| NetNsError::Netlink { what, source }
}
