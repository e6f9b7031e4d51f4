//! The network devices and addresses of nved's own namespace, as the kernel tells.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use futures_util::TryStreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags};
use rtnetlink::{Handle, LinkGetRequest};

mod device;

pub use device::{Kind, NetDevice, OtherEnd, mac};

/// All devices and addresses.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    devices: BTreeMap<u32, NetDevice>,
    names: HashMap<String, u32>,
    aliases: HashMap<String, u32>,
    addresses: BTreeSet<(IpAddr, u32)>,
    duplicates: BTreeSet<IpAddr>,
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
            let failed = AddressHeaderFlags::Dadfailed;
            let duplicate = message.header.flags.contains(failed);
            for address in own_addresses(&message.attributes) {
                inventory.addresses.insert((address, message.header.index));
                inventory.duplicates.extend(duplicate.then_some(address));
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

    /// Whether somebody else on the link has an address that is here too, so that the kernel
    /// does not use it (RFC 4862, section 5.4).
    pub fn is_duplicate(&self, address: IpAddr) -> bool {
        self.duplicates.contains(&address)
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
}
