//! The messages of DHCP.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use std::net::Ipv4Addr;

const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// Offset of the options.
const OPTIONS: usize = 240;

/// The client cannot take unicast yet.
pub(super) const BROADCAST: u16 = 0x8000;

pub(super) const DISCOVER: u8 = 1;
pub(super) const OFFER: u8 = 2;
pub(super) const REQUEST: u8 = 3;
pub(super) const ACK: u8 = 5;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) id: u32,
    pub(super) flags: u16,
    /// The address that is offered, asked for, or given.
    pub(super) address: Ipv4Addr,
    pub(super) client: [u8; 6],
    pub(super) server: Ipv4Addr,
}

impl Message {
    /// The payload of its datagram.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let from_server = matches!(self.kind, OFFER | ACK);
        let mut bytes = vec![if from_server { 2 } else { 1 }, 1, 6, 0];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend([0; 4]);
        let yours = if from_server {
            self.address
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        bytes.extend(yours.octets());
        bytes.extend([0; 8]);
        bytes.extend(self.client);
        bytes.resize(OPTIONS - COOKIE.len(), 0);
        bytes.extend(COOKIE);
        bytes.extend([53, 1, self.kind]);
        if self.kind != DISCOVER {
            bytes.extend([&[54, 4][..], &self.server.octets()].concat());
        }
        if self.kind == REQUEST {
            bytes.extend([&[50, 4][..], &self.address.octets()].concat());
        }
        if from_server {
            bytes.extend([51, 4, 0, 0, 0x0E, 0x10, 1, 4, 255, 255, 255, 0]);
        }
        bytes.push(255);
        bytes
    }

    /// Reads the payload of a datagram.
    fn read(bytes: &[u8]) -> Option<Self> {
        let at = |from: usize| bytes.get(from..from + 4)?.try_into().ok();
        let address = |bytes: [u8; 4]| Ipv4Addr::from(bytes);
        if at(OPTIONS - 4)? != COOKIE {
            return None;
        }
        let option = |number| option(bytes.get(OPTIONS..)?, number);
        let long = |number| option(number)?.try_into().ok().map(address);
        Some(Self {
            kind: *option(53)?.first()?,
            id: u32::from_be_bytes(at(4)?),
            flags: u16::from_be_bytes(bytes.get(10..12)?.try_into().ok()?),
            address: long(50).unwrap_or(address(at(16)?)),
            client: bytes.get(28..34)?.try_into().ok()?,
            server: long(54).unwrap_or(Ipv4Addr::UNSPECIFIED),
        })
    }

    /// The message in a frame for this UDP port.
    pub(super) fn of(frame: &[u8], port: u16) -> Option<Self> {
        let sliced = SlicedPacket::from_ethernet(frame).ok()?;
        let (Some(NetSlice::Ipv4(_)), Some(TransportSlice::Udp(udp))) =
            (sliced.net, sliced.transport)
        else {
            return None;
        };
        let message = Self::read(udp.payload())?;
        (udp.destination_port() == port).then_some(message)
    }
}

/// The value of an option.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        let [number, len, rest @ ..] = options else {
            return None;
        };
        let (value, rest) = rest.split_at_checked((*len).into())?;
        if *number == wanted {
            return Some(value);
        }
        options = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let offer = Message {
            kind: OFFER,
            id: 7,
            flags: BROADCAST,
            address: [10, 0, 0, 50].into(),
            client: [2, 0, 0, 0, 0, 5],
            server: [10, 0, 0, 9].into(),
        };
        let request = Message {
            kind: REQUEST,
            ..offer
        };
        for message in [offer, request] {
            assert_eq!(Message::read(&message.bytes()), Some(message));
        }
        assert_eq!(Message::read(&offer.bytes()[..200]), None);
    }
}
