//! The network devices and addresses of nved's own namespace, as the kernel tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use dataplane_common::id::Mac;
use futures_util::TryStreamExt;
use netlink_packet_route::{
    address::AddressAttribute,
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};
use rtnetlink::Handle;

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct NetDevice {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its alias; empty when it has none.
    pub alias: String,
    /// Its MAC.
    pub mac: Mac,
    /// Its MTU.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// Its other end or cable answers; devices that cannot tell always say so when they are up.
    pub carrier: bool,
    /// It is one end of a veth pair.
    pub veth: bool,
    /// Its other end or parent is in another network namespace.
    pub elsewhere: bool,
}

/// All devices and addresses.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    devices: BTreeMap<u32, NetDevice>,
    addresses: BTreeSet<(IpAddr, u32)>,
}

impl Inventory {
    /// Asks the kernel.
    pub async fn read(handle: &Handle) -> Result<Self, rtnetlink::Error> {
        let mut inventory = Self::default();
        let mut links = handle.link().get().execute();
        while let Some(message) = links.try_next().await? {
            let device = NetDevice::from(&message);
            inventory.devices.insert(device.ifindex, device);
        }
        let mut addresses = handle.address().get().execute();
        while let Some(message) = addresses.try_next().await? {
            for address in own_addresses(&message.attributes) {
                inventory.addresses.insert((address, message.header.index));
            }
        }
        Ok(inventory)
    }

    /// The device with this name.
    pub fn by_name(&self, name: &str) -> Option<&NetDevice> {
        self.devices.values().find(|device| device.name == name)
    }

    /// The device with this index.
    pub fn by_index(&self, ifindex: u32) -> Option<&NetDevice> {
        self.devices.get(&ifindex)
    }

    /// All devices.
    pub fn devices(&self) -> impl Iterator<Item = &NetDevice> {
        self.devices.values()
    }

    /// The devices that bear an address.
    pub fn bearers(&self, address: IpAddr) -> impl Iterator<Item = &NetDevice> {
        self.addresses
            .iter()
            .filter(move |(a, _)| *a == address)
            .filter_map(|(_, ifindex)| self.devices.get(ifindex))
    }
}

impl FromIterator<NetDevice> for Inventory {
    fn from_iter<I: IntoIterator<Item = NetDevice>>(devices: I) -> Self {
        let devices = devices.into_iter().map(|device| (device.ifindex, device));
        Self {
            devices: devices.collect(),
            ..Self::default()
        }
    }
}

/// Asks the kernel for one device; `None` when it is not there.
pub async fn by_index(
    handle: &Handle,
    ifindex: u32,
) -> Result<Option<NetDevice>, rtnetlink::Error> {
    let mut links = handle.link().get().match_index(ifindex).execute();
    match links.try_next().await {
        Ok(message) => Ok(message.as_ref().map(NetDevice::from)),
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => Ok(None),
        Err(error) => Err(error),
    }
}

impl From<&LinkMessage> for NetDevice {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open; what is not listed does not concern us"
    )]
    fn from(message: &LinkMessage) -> Self {
        let mut device = Self {
            ifindex: message.header.index,
            up: message.header.flags.contains(LinkFlags::Up),
            carrier: message.header.flags.contains(LinkFlags::LowerUp),
            ..Self::default()
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => device.name.clone_from(name),
                LinkAttribute::IfAlias(alias) => device.alias.clone_from(alias),
                LinkAttribute::Mtu(mtu) => device.mtu = *mtu,
                LinkAttribute::Address(bytes) => device.mac = mac(bytes),
                LinkAttribute::LinkNetNsId(_) => device.elsewhere = true,
                LinkAttribute::LinkInfo(info) => {
                    device.veth = info.contains(&LinkInfo::Kind(InfoKind::Veth));
                }
                _ => {}
            }
        }
        device
    }
}

/// A hardware address as a MAC; zero when it is not six bytes.
pub fn mac(bytes: &[u8]) -> Mac {
    bytes.try_into().map(Mac).unwrap_or_default()
}

fn own_addresses(attributes: &[AddressAttribute]) -> Vec<IpAddr> {
    // On a point-to-point link `Address` is the peer's and `Local` ours; else they are equal.
    let local = attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Local(address) = attribute {
            Some(*address)
        } else {
            None
        }
    });
    let stated = attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Address(address) = attribute {
            Some(*address)
        } else {
            None
        }
    });
    local.or(stated).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_veth_with_its_end_elsewhere_is_recognized() {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.attributes = vec![
            LinkAttribute::IfName("v0".into()),
            LinkAttribute::Mtu(1500),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
            LinkAttribute::LinkNetNsId(3),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)]),
        ];
        let device = NetDevice::from(&message);
        assert_eq!(device.name, "v0");
        assert_eq!(device.mac, Mac([2, 0, 0, 0, 0, 1]));
        assert!(device.veth && device.elsewhere && !device.up);
    }
}
