//! The network devices and addresses of nved's own namespace, as the kernel tells.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use dataplane_common::id::Mac;
use futures_util::TryStreamExt;
use netlink_packet_route::{
    address::AddressAttribute,
    link::{InfoData, InfoKind, InfoTun, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};
use rtnetlink::{Handle, LinkGetRequest, packet_core::Nla};

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// How often the carrier came.
    pub carrier_ups: u32,
    /// What it is.
    pub kind: Kind,
    /// Where its other end is; a veth's, or the parent of another device.
    pub other_end: OtherEnd,
}

/// Kinds of devices that are treated differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// One end of a veth pair.
    Veth,
    /// A tap.
    Tap,
    /// All else.
    #[default]
    Other,
}

/// The other end of a veth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherEnd {
    /// Its index in its namespace; 0 when there is none.
    pub ifindex: u32,
    /// Our number of that namespace; `None` when it is our own.
    pub netns_id: Option<i32>,
}

/// All devices and addresses.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    devices: BTreeMap<u32, NetDevice>,
    names: HashMap<String, u32>,
    aliases: HashMap<String, u32>,
    addresses: BTreeSet<(IpAddr, u32)>,
}

impl Inventory {
    /// Asks the kernel. An error where the connection ends meanwhile.
    pub async fn read(handle: &Handle) -> Result<Self, rtnetlink::Error> {
        let mut inventory = Self::default();
        let mut links = handle.link().get().execute();
        while let Some(message) = links.try_next().await? {
            inventory.add(NetDevice::from(&message));
        }
        let mut addresses = handle.address().get().execute();
        while let Some(message) = addresses.try_next().await? {
            for address in own_addresses(&message.attributes) {
                inventory.addresses.insert((address, message.header.index));
            }
        }
        // A list that is cut off by the end of the connection ends like a whole one. Whoever is
        // answered now was connected all the time.
        by_index(handle, LOOPBACK).await?;
        Ok(inventory)
    }

    /// Asks for those of these devices, by index, that the list lacks: on kernels up to 6.6 a
    /// list may skip devices while others are removed, and does not say so.
    pub async fn complete(
        &mut self,
        handle: &Handle,
        known: impl IntoIterator<Item = u32>,
    ) -> Result<(), rtnetlink::Error> {
        for ifindex in known {
            if !self.devices.contains_key(&ifindex)
                && let Some(device) = by_index(handle, ifindex).await?
            {
                self.add(device);
            }
        }
        Ok(())
    }

    fn add(&mut self, device: NetDevice) {
        let ifindex = device.ifindex;
        self.names.insert(device.name.clone(), ifindex);
        if !device.alias.is_empty() {
            // Of two with the same alias the older one has it.
            let first = self.aliases.entry(device.alias.clone());
            let first = first.or_insert(ifindex);
            *first = ifindex.min(*first);
        }
        self.devices.insert(ifindex, device);
    }

    /// The device with this name.
    pub fn by_name(&self, name: &str) -> Option<&NetDevice> {
        self.devices.get(self.names.get(name)?)
    }

    /// The device with this alias.
    pub fn by_alias(&self, alias: &str) -> Option<&NetDevice> {
        self.devices.get(self.aliases.get(alias)?)
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
        let mut inventory = Self::default();
        devices.into_iter().for_each(|device| inventory.add(device));
        inventory
    }
}

/// In every namespace.
const LOOPBACK: u32 = 1;

/// Asks the kernel for one device by its index; `None` when it is not there.
pub async fn by_index(
    handle: &Handle,
    ifindex: u32,
) -> Result<Option<NetDevice>, rtnetlink::Error> {
    one(handle.link().get().match_index(ifindex)).await
}

/// Asks the kernel for one device by its name; `None` when it is not there.
pub async fn by_name(handle: &Handle, name: &str) -> Result<Option<NetDevice>, rtnetlink::Error> {
    one(handle.link().get().match_name(name)).await
}

async fn one(request: LinkGetRequest) -> Result<Option<NetDevice>, rtnetlink::Error> {
    match request.execute().try_next().await {
        Ok(Some(message)) => Ok(Some(NetDevice::from(&message))),
        // The kernel says so when there is none: this is the end of the connection.
        Ok(None) => Err(rtnetlink::Error::RequestFailed),
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
                LinkAttribute::CarrierUpCount(count) => device.carrier_ups = *count,
                LinkAttribute::Link(ifindex) => device.other_end.ifindex = *ifindex,
                LinkAttribute::LinkNetNsId(id) => device.other_end.netns_id = Some(*id),
                LinkAttribute::LinkInfo(info) => device.kind = Kind::of(info),
                _ => {}
            }
        }
        device
    }
}

impl Kind {
    fn of(info: &[LinkInfo]) -> Self {
        if info.contains(&LinkInfo::Kind(InfoKind::Veth)) {
            Self::Veth
        } else if info.iter().any(is_tap) {
            Self::Tap
        } else {
            Self::Other
        }
    }
}

/// Whether this tells a tap from a tun.
fn is_tap(info: &LinkInfo) -> bool {
    // `IFLA_TUN_TYPE` of `linux/if_link.h`; its value is one byte.
    const TYPE: u16 = 3;
    const TAP: u8 = 2;
    let LinkInfo::Data(InfoData::Tun(attributes)) = info else {
        return false;
    };
    attributes.iter().any(|attribute| {
        let mut value = [0];
        if let InfoTun::Other(other) = attribute
            && other.kind() == TYPE
            && other.value_len() == value.len()
        {
            other.emit_value(&mut value);
        }
        value == [TAP]
    })
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
    use std::{future::poll_fn, pin::pin};

    use super::*;

    /// Reads over a connection that ends after it was polled so many times.
    async fn read_within(mut polls: usize) -> Result<Inventory, rtnetlink::Error> {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let mut connection = Some(Box::pin(connection));
        let mut reading = pin!(Inventory::read(&handle));
        poll_fn(|context| {
            connection.take_if(|_| polls == 0);
            polls = polls.saturating_sub(1);
            if let Some(connection) = &mut connection {
                let _ = connection.as_mut().poll(context);
            }
            reading.as_mut().poll(context)
        })
        .await
    }

    #[tokio::test]
    async fn a_connection_that_ends_is_no_end_of_a_list() {
        // Others may change other devices meanwhile.
        let loopback = |seen: &Inventory| -> Vec<IpAddr> {
            let its = seen.addresses.iter().filter(|(_, at)| *at == LOOPBACK);
            its.map(|(address, _)| *address).collect()
        };
        let whole = read_within(usize::MAX).await.unwrap();
        assert!(whole.by_index(LOOPBACK).is_some());
        let mut errors = 0;
        for polls in 0..20 {
            match read_within(polls).await {
                Ok(seen) => assert_eq!(loopback(&seen), loopback(&whole), "{polls} polls"),
                Err(_) => errors += 1,
            }
        }
        assert!(errors > 3, "it ended too late {} times", 20 - errors);
    }

    #[tokio::test]
    async fn a_device_is_not_gone_because_the_connection_ended() {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let end = async move { drop(connection) };
        let (device, ()) = tokio::join!(by_index(&handle, LOOPBACK), end);
        assert!(device.is_err(), "{device:?}");
    }

    #[tokio::test]
    async fn what_a_list_lacks_is_asked_for() {
        let (connection, handle, _) = rtnetlink::new_connection().expect("a netlink socket");
        tokio::spawn(connection);
        let nothing = i32::MAX.cast_unsigned();
        let mut seen = Inventory::default();
        let asked = seen.complete(&handle, [LOOPBACK, nothing]).await;
        asked.expect("answers");
        assert!(seen.by_name("lo").is_some() && seen.by_index(nothing).is_none());
    }

    #[test]
    fn of_two_with_one_alias_the_older_has_it() {
        let device = |ifindex| NetDevice {
            ifindex,
            alias: "nve a port blue/vm1".into(),
            ..NetDevice::default()
        };
        for order in [[5, 9], [9, 5]] {
            let seen: Inventory = order.map(device).into_iter().collect();
            let found = seen.by_alias("nve a port blue/vm1");
            assert_eq!(found.map(|device| device.ifindex), Some(5));
        }
    }

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
        assert!(device.kind == Kind::Veth && !device.up);
        assert_eq!(device.other_end.netns_id, Some(3));
    }
}
