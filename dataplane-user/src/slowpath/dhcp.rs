//! Which address a DHCP server gives to whom (RFC 2131), for ports whose addresses are learned.

use std::{net::IpAddr, net::Ipv4Addr};

use dataplane_common::id::Mac;
use etherparse::{IpNumber, UdpSlice};

use super::packet::{Packet, is_host};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Operation reply, hardware type Ethernet, addresses of six bytes.
const REPLY: [u8; 3] = [2, 1, 6];
/// Marks a message with options (RFC 2131, section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const ACK: u8 = 5;
/// Where the fields are.
const YIADDR: usize = 16;
const CHADDR: usize = 28;
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;
const OPTIONS: usize = 236;

/// Codes of options (RFC 2132).
mod code {
    pub(super) const PAD: u8 = 0;
    pub(super) const LEASE_TIME: u8 = 51;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const END: u8 = 255;
}

/// A server acknowledged that a client has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The client's MAC.
    pub mac: Mac,
    /// Its address.
    pub address: IpAddr,
    /// For how long; `u32::MAX` is for ever.
    pub seconds: u32,
}

/// Reads an untagged frame on its way to a client; `None`: it acknowledges no address.
///
/// The UDP checksum is not looked at: of a frame from a VM it may be unfinished.
pub fn acknowledged(frame: &[u8]) -> Option<Lease> {
    let (_, packet) = Packet::framed(frame)?;
    if packet.protocol != IpNumber::UDP || !packet.is_whole() || packet.source.is_ipv6() {
        return None;
    }
    let udp = UdpSlice::from_slice(packet.payload).ok()?;
    if (udp.source_port(), udp.destination_port()) != (SERVER_PORT, CLIENT_PORT) {
        return None;
    }
    let message = udp.payload();
    let options = Options::of(message)?;
    let acknowledges = message.starts_with(&REPLY) && options.find(code::MESSAGE_TYPE)? == [ACK];
    let lease = Lease {
        mac: Mac(*message.get(CHADDR..)?.first_chunk()?),
        address: Ipv4Addr::from(*message.get(YIADDR..)?.first_chunk::<4>()?).into(),
        seconds: u32::from_be_bytes(options.find(code::LEASE_TIME)?.try_into().ok()?),
    };
    // An answer to an "inform" has no address in it.
    let valid = acknowledges && lease.mac.is_station() && is_host(lease.address);
    valid.then_some(lease)
}

/// The fields that have options, in the order of RFC 2131, section 4.1.
struct Options<'f>([&'f [u8]; 3]);

impl<'f> Options<'f> {
    fn of(message: &'f [u8]) -> Option<Self> {
        let options = message.get(OPTIONS..)?.strip_prefix(&COOKIE)?;
        let overload = match find(options, code::OVERLOAD) {
            Some([which]) => *which,
            _ => 0,
        };
        let also = |bit: u8, field| {
            if overload & bit == 0 {
                Some(&[][..])
            } else {
                message.get(field)
            }
        };
        Some(Self([options, also(1, FILE)?, also(2, SNAME)?]))
    }

    fn find(&self, code: u8) -> Option<&'f [u8]> {
        self.0.iter().find_map(|field| find(field, code))
    }
}

/// The option with the code in one field.
fn find(mut field: &[u8], code: u8) -> Option<&[u8]> {
    loop {
        let (kind, rest) = field.split_first()?;
        field = match *kind {
            code::PAD => rest,
            code::END => return None,
            kind => {
                let (len, rest) = rest.split_first()?;
                let (value, rest) = rest.split_at_checked(usize::from(*len))?;
                if kind == code {
                    return Some(value);
                }
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slowpath::testing::{never_panics, ported};

    const SERVER: &str = "10.0.0.2";
    const LEASE_TIME: [u8; 6] = [51, 4, 0, 0, 0x0E, 0x10];
    const SENT: Lease = Lease {
        mac: Mac([2, 0, 0, 0, 0, 9]),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
        seconds: 3600,
    };

    /// A reply as RFC 2131, figure 1 has it, with these options.
    fn message(options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 236];
        message[..8].copy_from_slice(&[2, 1, 6, 0, 0xDE, 0xAD, 0xBE, 0xEF]);
        message[16..20].copy_from_slice(&[10, 0, 0, 9]);
        message[28..34].copy_from_slice(&SENT.mac.0);
        message.extend(COOKIE);
        message.extend(options);
        message
    }

    fn read(message: &[u8]) -> Option<Lease> {
        acknowledged(&ported(SERVER, "255.255.255.255", (67, 68), message))
    }

    fn ack() -> Vec<u8> {
        message(&[&[53, 1, 5, 54, 4, 10, 0, 0, 2, 0], &LEASE_TIME[..], &[255]].concat())
    }

    #[test]
    fn an_acknowledgement_is_a_lease() {
        assert_eq!(read(&ack()), Some(SENT));
        let mut unfinished = ported(SERVER, "10.0.0.9", (67, 68), &ack());
        unfinished[40] ^= 1;
        assert_eq!(acknowledged(&unfinished), Some(SENT), "checksum");
    }

    #[test]
    fn options_may_be_where_the_file_has_its_name() {
        for (bit, at) in [(1, 108), (2, 44), (3, 44)] {
            let mut overloaded = message(&[52, 1, bit, 53, 1, 5, 255]);
            overloaded[at..at + 6].copy_from_slice(&LEASE_TIME);
            assert_eq!(read(&overloaded), Some(SENT), "{bit}");
            overloaded[242] = 0;
            assert_eq!(read(&overloaded), None, "not overloaded");
        }
    }

    #[test]
    fn nothing_else_is_one() {
        let types = [1, 2, 3, 4, 6, 7, 8].map(|kind| message(&[53, 1, kind, 51, 4, 0, 0, 1, 0]));
        assert!(types.iter().all(|message| read(message).is_none()));
        assert_eq!(
            read(&message(&[&LEASE_TIME[..], &[255]].concat())),
            None,
            "BOOTP"
        );
        assert_eq!(
            read(&message(&[53, 1, 5, 255, 51, 4, 0, 0, 1, 0])),
            None,
            "after the end"
        );
        assert_eq!(
            read(&message(&[53, 1, 5, 51, 3, 0, 0, 1])),
            None,
            "time of three bytes"
        );
        assert_eq!(
            read(&message(&[53, 1, 5, 51, 200, 0, 0, 1])),
            None,
            "longer than all"
        );
        // Request, hardware, length, yiaddr (an answer to "inform"), chaddr, cookie.
        for (at, bytes) in [(0, [1].as_slice()), (1, &[6]), (2, &[8]), (16, &[0; 4])]
            .into_iter()
            .chain([
                (16, [224].as_slice()),
                (28, &[0; 6]),
                (28, &[1]),
                (236, &[0]),
            ])
        {
            let mut other = ack();
            other[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(read(&other), None, "{at}");
        }
        for ports in [(68, 67), (67, 67), (67, 546)] {
            assert_eq!(
                acknowledged(&ported(SERVER, "10.0.0.9", ports, &ack())),
                None
            );
        }
        let v6 = ported("2001:db8::1", "2001:db8::2", (67, 68), &ack());
        assert_eq!(acknowledged(&v6), None);
    }

    #[test]
    fn whatever_comes_is_survived() {
        let frame = ported(SERVER, "10.0.0.9", (67, 68), &ack());
        never_panics(&frame, |frame| {
            let _ = acknowledged(frame);
        });
        for len in 0..frame.len() {
            assert_eq!(acknowledged(&frame[..len]), None);
        }
    }
}
