//! One network device, as the kernel's message has it.

use std::net::IpAddr;

use dataplane_common::id::Mac;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoTun, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use rtnetlink::packet_core::Nla;

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
    /// Its MTU for IPv6, which a router may have lowered; `None` when it has no IPv6.
    pub ipv6_mtu: Option<u32>,
    /// Administratively up.
    pub up: bool,
    /// Somebody set it to take frames for any MAC.
    pub promiscuous: bool,
    /// Its other end or cable answers; devices that cannot tell always say so when they are up.
    pub carrier: bool,
    /// How often the carrier came.
    pub carrier_ups: u32,
    /// What it is.
    pub kind: Kind,
    /// Where its other end is; a veth's, or the parent of another device.
    pub other_end: OtherEnd,
}

impl NetDevice {
    /// Its MTU for packets to this address.
    pub fn mtu_for(&self, address: IpAddr) -> u32 {
        let own = self.ipv6_mtu.filter(|_| address.is_ipv6());
        own.map_or(self.mtu, |own| own.min(self.mtu))
    }
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

impl From<&LinkMessage> for NetDevice {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open; what is not listed does not concern us"
    )]
    fn from(message: &LinkMessage) -> Self {
        let mut device = Self {
            ifindex: message.header.index,
            up: message.header.flags.contains(LinkFlags::Up),
            promiscuous: message.header.flags.contains(LinkFlags::Promisc),
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
                LinkAttribute::AfSpecUnspec(families) => {
                    device.ipv6_mtu = families.iter().find_map(ipv6_mtu);
                }
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

fn ipv6_mtu(family: &AfSpecUnspec) -> Option<u32> {
    let AfSpecUnspec::Inet6(told) = family else {
        return None;
    };
    told.iter().find_map(|told| {
        if let AfSpecInet6::DevConf(settings) = told {
            u32::try_from(settings.mtu6).ok()
        } else {
            None
        }
    })
}

/// A hardware address as a MAC; zero when it is not six bytes.
pub fn mac(bytes: &[u8]) -> Mac {
    bytes.try_into().map(Mac).unwrap_or_default()
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
        assert!(device.kind == Kind::Veth && !device.up);
        assert_eq!(device.other_end.netns_id, Some(3));
    }

    #[test]
    fn what_a_router_advertised_is_the_mtu_for_ipv6_alone() {
        let addresses = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([0xfd; 16])];
        let mtus = |ipv6_mtu| {
            let device = NetDevice {
                mtu: 1600,
                ipv6_mtu,
                ..NetDevice::default()
            };
            addresses.map(|address| device.mtu_for(address))
        };
        assert_eq!(mtus(Some(1450)), [1600, 1450]);
        assert_eq!(mtus(Some(9000)), [1600, 1600]);
        assert_eq!(mtus(None), [1600, 1600]);
    }
}
