//! What a port's device shall be, and what it is.

use std::net::IpAddr;

use dataplane_common::id::Mac;
use ipnet::IpNet;

use crate::{
    netdev::{Kind, NetDevice},
    policy::document::Attach,
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
    /// The host's own stack takes its frames, IPv6 among them.
    pub of_host: bool,
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
    /// It is up; a device of ours stays down until [`super::Manager::bring_up`].
    pub up: bool,
    /// It was made by nved.
    pub ours: bool,
}

/// Whether a port has its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has.
    Ready(Attachment),
    /// It waits; why.
    Pending(String),
}

/// Why a port has no device that is as it shall be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is none for it: it waits.
    #[error("{0}")]
    Absent(String),
    /// Something could not be done or seen; a device that it has goes on as it was.
    #[error("{0}")]
    Failed(String),
}

impl Attachment {
    /// A device of others.
    pub fn of(device: &NetDevice) -> Self {
        Self {
            interface: device.name.clone(),
            ifindex: device.ifindex,
            mtu: u16::try_from(device.mtu).unwrap_or(u16::MAX),
            peer: device.kind == Kind::Veth && device.other_end.netns_id.is_some(),
            up: device.up,
            ours: false,
        }
    }

    /// A device of ours that could not be made as it shall be, and forwards packets up to `mtu`.
    pub fn going_on(device: &NetDevice, mtu: u16) -> Self {
        let now = Self::of(device);
        // One end may have got another MTU than the other.
        Self::own(device, now.mtu.min(mtu))
    }

    /// A device of ours, whose MTU the policy says.
    pub fn own(device: &NetDevice, mtu: u16) -> Self {
        Self {
            mtu,
            ours: true,
            ..Self::of(device)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_has_the_smaller_mtu() {
        let device = |mtu| NetDevice {
            mtu,
            ..NetDevice::default()
        };
        assert_eq!(Attachment::going_on(&device(8958), 1558).mtu, 1558);
        assert_eq!(Attachment::going_on(&device(1300), 1558).mtu, 1300);
        assert!(Attachment::going_on(&device(1300), 1558).ours);
    }
}
