//! What the kernel says that XDP can do with each device: generic netlink, family `netdev`
//! (Documentation/netlink/specs/netdev.yaml, since 6.3).
//!
//! By hand: the kernel's list comes without `NLM_F_MULTI`, so that netlink-proto (and with it
//! genetlink) takes the first device for all, and libbpf's `bpf_xdp_query` lists all links for
//! each device that it is asked about.

use std::{collections::BTreeMap, convert::Infallible, io};

use rtnetlink::{
    packet_core::{
        DefaultNla, Emitable, NLM_F_ACK, NLM_F_DUMP, NetlinkDeserializable, NetlinkHeader,
        NetlinkSerializable, NlasIterator,
    },
    sys::protocols::NETLINK_GENERIC,
};

use crate::netlink::Netlink;

const FAMILY: &[u8] = b"netdev\0";
const DEVICES: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_NDO_XMIT`.
const TARGET: u64 = 1 << 2;

/// Whether XDP can redirect into a device, by index. An error where the kernel does not tell.
pub fn redirect_targets() -> io::Result<BTreeMap<u32, bool>> {
    let netlink = Netlink::open(NETLINK_GENERIC)?;
    let family = find_family(&netlink)?;
    let devices = netlink.ask(Message::new(family, DEVICES, &[]), NLM_F_DUMP)?;
    Ok(devices.iter().filter_map(Message::device).collect())
}

fn find_family(netlink: &Netlink) -> io::Result<u16> {
    let name = DefaultNla::new(short(libc::CTRL_ATTR_FAMILY_NAME), FAMILY.to_vec());
    let command = libc::CTRL_CMD_GETFAMILY.to_le_bytes()[0];
    let request = Message::new(short(libc::GENL_ID_CTRL), command, &[name]);
    let answers = netlink.ask(request, NLM_F_ACK)?;
    let mut ids = answers.iter();
    let id = ids.find_map(|answer| answer.attribute(short(libc::CTRL_ATTR_FAMILY_ID)));
    let id = id.and_then(|id| id.try_into().ok());
    id.map(u16::from_ne_bytes)
        .ok_or(io::ErrorKind::Unsupported.into())
}

/// A generic netlink message: family, and `struct genlmsghdr` with attributes behind it.
#[derive(Clone, Debug)]
struct Message {
    family: u16,
    bytes: Vec<u8>,
}

/// Bytes of `struct genlmsghdr`.
const HEADER: usize = 4;

impl Message {
    fn new(family: u16, command: u8, attributes: &[DefaultNla]) -> Self {
        let mut bytes = vec![0; HEADER + attributes.buffer_len()];
        let (header, rest) = bytes.split_at_mut(HEADER);
        // The version of both families is 1 or above; they take any.
        header[..2].copy_from_slice(&[command, 1]);
        attributes.emit(rest);
        Self { family, bytes }
    }

    fn attribute(&self, kind: u16) -> Option<Vec<u8>> {
        let attributes = NlasIterator::new(self.bytes.get(HEADER..)?);
        let mut attributes = attributes.flatten();
        let found = attributes.find(|attribute| attribute.kind() == kind)?;
        Some(found.value().to_vec())
    }

    fn device(&self) -> Option<(u32, bool)> {
        let ifindex = self.attribute(IFINDEX)?.try_into().ok()?;
        let features = self.attribute(XDP_FEATURES)?.try_into().ok()?;
        let takes = u64::from_ne_bytes(features) & TARGET != 0;
        Some((u32::from_ne_bytes(ifindex), takes))
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        self.bytes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.bytes);
    }
}

impl NetlinkDeserializable for Message {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self {
            family: header.message_type,
            bytes: payload.to_vec(),
        })
    }
}

/// Constants that the kernel's headers have as plain numbers.
fn short(number: i32) -> u16 {
    u16::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_attributes_are_read() {
        let attributes = |features: u64| {
            [
                DefaultNla::new(IFINDEX, 7_u32.to_ne_bytes().to_vec()),
                DefaultNla::new(XDP_FEATURES, features.to_ne_bytes().to_vec()),
            ]
        };
        let message = |features| Message::new(20, DEVICES, &attributes(features));
        assert_eq!(message(0b111).device(), Some((7, true)));
        assert_eq!(message(0b011).device(), Some((7, false)));
        assert_eq!(Message::new(20, DEVICES, &[]).device(), None);
    }

    #[test]
    fn the_kernel_lists_devices() {
        let Ok(targets) = redirect_targets() else {
            // A kernel before 6.3.
            return;
        };
        // The loopback is everywhere, and others would come in the same list.
        assert!(targets.contains_key(&1), "{targets:?}");
    }
}
