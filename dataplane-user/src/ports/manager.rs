//! Wanted ports against the devices that are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use dataplane_common::id::Mac;
use ipnet::IpNet;
use rtnetlink::Handle;

use super::{
    names,
    netns::{NetNs, NetNsError, TenantEnd},
    veth::{self, Pair},
};
use crate::{
    netdev::{Inventory, NetDevice},
    policy::{PortKey, document::Attach},
};

/// A port that shall have a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub attach: Attach,
    /// Its MAC.
    pub mac: Mac,
    /// Its CAs with the prefix lengths of their subnets.
    pub addresses: Vec<IpNet>,
    /// Its gateways.
    pub gateways: Vec<IpAddr>,
    /// MTU of a device that we make.
    pub mtu: u16,
}

/// A port's device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub interface: String,
    /// Its index.
    pub ifindex: u32,
    /// Its MTU.
    pub mtu: u16,
    /// Its other end is in another namespace, so `bpf_redirect_peer` is allowed.
    pub peer: bool,
}

/// Whether a port has its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has.
    Ready(Attachment),
    /// It waits; why.
    Pending(String),
}

/// Makes and remembers devices of ports.
pub struct Manager {
    handle: Handle,
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
    /// A manager that speaks through `handle`.
    pub fn new(handle: Handle) -> Self {
        Self {
            handle,
            set_up: BTreeMap::new(),
        }
    }

    /// Sees to a port's device.
    pub async fn ensure(&mut self, port: &PortKey, wanted: &Wanted, seen: &Inventory) -> State {
        let attach = &wanted.attach;
        match (&attach.netns, &attach.interface, &attach.tap) {
            (Some(netns), _, None) => self
                .netns(port, wanted, netns, seen)
                .await
                .map_or_else(State::Pending, State::Ready),
            (None, Some(name), None) => existing(name, seen),
            _ => {
                State::Pending("attach by tap is not supported yet; use netns or interface".into())
            }
        }
    }

    /// Removes the pairs of ours that no port wants; their names.
    pub async fn remove_others(
        &mut self,
        wanted: &BTreeSet<PortKey>,
        seen: &Inventory,
    ) -> Vec<String> {
        self.set_up.retain(|port, _| wanted.contains(port));
        let aliases: BTreeSet<String> = wanted.iter().map(names::alias).collect();
        let mut removed = Vec::new();
        for device in seen.devices() {
            if !names::is_ours(&device.alias) || aliases.contains(&device.alias) {
                continue;
            }
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
        let alias = names::alias(port);
        let device = names::device(port);
        if let Some(found) = seen.by_name(&device) {
            if found.alias != alias {
                return Err(format!("interface {device} exists and is not nved's"));
            }
            let now = SetUp {
                ifindex: found.ifindex,
                netns: netns.identity,
                wanted: wanted.clone(),
            };
            if self.set_up.get(port) == Some(&now) && found.up && found.mtu == u32::from(wanted.mtu)
            {
                return Ok(attachment(found));
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
        })
    }

    /// Makes the pair, or adopts it when its other end is in the right place, and sets up both ends.
    async fn make(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        netns: &NetNs,
        seen: &Inventory,
    ) -> Result<u32, NetNsError> {
        let (name, alias) = (names::device(port), names::alias(port));
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
}

fn existing(name: &str, seen: &Inventory) -> State {
    match seen.by_name(name) {
        None => State::Pending(format!("interface {name} is not there")),
        Some(device) if !device.up => State::Pending(format!("interface {name} is down")),
        Some(device) => State::Ready(attachment(device)),
    }
}

fn attachment(device: &NetDevice) -> Attachment {
    Attachment {
        interface: device.name.clone(),
        ifindex: device.ifindex,
        mtu: u16::try_from(device.mtu).unwrap_or(u16::MAX),
        peer: device.veth && device.elsewhere,
    }
}

fn failed(what: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetNsError {
    move |source| NetNsError::Netlink { what, source }
}
