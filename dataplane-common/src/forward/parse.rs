//! Bytes -> header values. The only reader of packets; it never trusts a length.

use crate::{
    reason::DropReason,
    wire::{
        Wire, arp,
        arp::ArpPacket,
        ether,
        ether::EthHeader,
        ipv4::{self, Ipv4Header},
    },
};

/// A packet that can be read.
#[allow(
    clippy::len_without_is_empty,
    reason = "a frame without bytes does not exist"
)]
pub trait Frame {
    /// Bytes of the whole frame, layer 2.
    fn len(&self) -> u32;
    /// Payload bytes of each segment of a GSO super-packet; 0 for any other frame.
    fn gso_size(&self) -> u32;
    /// A copy of the bytes at `offset`, `None` when the frame is shorter.
    fn load<T: Wire>(&self, offset: usize) -> Option<T>;
}

/// The headers of a tenant's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Ethernet, untagged.
    pub eth: EthHeader,
    /// Bytes of the frame, layer 2.
    pub len: u32,
    /// Bytes of the largest layer-3 packet that the frame becomes on the wire.
    pub segment: u32,
    /// What it carries.
    pub net: Net,
}

/// The network layer of a tenant's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// IPv4.
    Ipv4 {
        /// The fixed part of the header.
        header: Ipv4Header,
        /// Source and destination port in wire order; zero for fragments and
        /// for protocols without ports.
        ports: [u8; 4],
    },
    /// ARP for IPv4.
    Arp(ArpPacket),
}

/// Reads the frame that begins at `offset`: the tenant's own frame at 0, the
/// inner frame of a tunnelled packet behind the outer headers.
#[inline(always)]
pub fn headers<F: Frame>(frame: &F, offset: usize) -> Result<Headers, DropReason> {
    let eth: EthHeader = frame.load(offset).ok_or(DropReason::Truncated)?;
    let len = frame.len().wrapping_sub(offset as u32);
    let l3 = offset.wrapping_add(ether::LEN);
    let (segment, net) = match eth.ethertype() {
        ether::IPV4 => ipv4_at(frame, l3, len.wrapping_sub(ether::LEN as u32))?,
        ether::ARP => {
            let arp: ArpPacket = frame.load(l3).ok_or(DropReason::Truncated)?;
            (arp::LEN as u32, Net::Arp(arp))
        }
        ether::IPV6 => return Err(DropReason::Ipv6Unsupported),
        tag if ether::is_tag(tag) => return Err(DropReason::InnerVlan),
        _ => return Err(DropReason::NonIp),
    };
    Ok(Headers {
        eth,
        len,
        segment,
        net,
    })
}

/// `l3_len`: bytes behind the Ethernet header, padding included.
#[inline(always)]
fn ipv4_at<F: Frame>(frame: &F, at: usize, l3_len: u32) -> Result<(u32, Net), DropReason> {
    let header: Ipv4Header = frame.load(at).ok_or(DropReason::Truncated)?;
    let header_len = header.header_len();
    if header.version() != 4 || header_len < ipv4::LEN as u16 || header.total_len() < header_len {
        return Err(DropReason::IpMalformed);
    }
    if u32::from(header.total_len()) > l3_len {
        return Err(DropReason::Truncated);
    }
    let l4 = at.wrapping_add(header_len as usize);
    let protocol = header.protocol();
    let ports = if header.is_fragment() || !(protocol == ipv4::TCP || protocol == ipv4::UDP) {
        [0; 4]
    } else {
        frame.load(l4).ok_or(DropReason::Truncated)?
    };
    let segment = match frame.gso_size() {
        0 => l3_len,
        payload => u32::from(header_len)
            .wrapping_add(l4_header_len(frame, l4, protocol)?)
            .wrapping_add(payload),
    };
    Ok((segment, Net::Ipv4 { header, ports }))
}

/// Bytes of the header that every segment of a super-packet repeats.
#[inline(always)]
fn l4_header_len<F: Frame>(frame: &F, l4: usize, protocol: u8) -> Result<u32, DropReason> {
    if protocol != ipv4::TCP {
        return Ok(8);
    }
    let [offset]: [u8; 1] = frame
        .load(l4.wrapping_add(12))
        .ok_or(DropReason::Truncated)?;
    Ok(u32::from(offset >> 4) << 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::testing::{Bytes, arp_request, tcp};

    #[test]
    fn every_truncation_is_refused_and_none_panics() {
        for whole in [
            tcp([10, 0, 0, 5], [10, 0, 0, 7]),
            arp_request([10, 0, 0, 5], [10, 0, 0, 7]),
        ] {
            assert!(headers(&Bytes::new(&whole), 0).is_ok());
            for len in 0..whole.len() {
                let cut = whole.get(..len).expect("shorter");
                assert_eq!(
                    headers(&Bytes::new(cut), 0),
                    Err(DropReason::Truncated),
                    "{len}"
                );
            }
        }
    }

    #[test]
    fn header_lengths_are_not_trusted() {
        let good = tcp([10, 0, 0, 5], [10, 0, 0, 7]);
        for version_ihl in 0..=255_u8 {
            let mut frame = good.clone();
            *frame.get_mut(14).expect("ip") = version_ihl;
            let parsed = headers(&Bytes::new(&frame), 0);
            if version_ihl >> 4 != 4 || version_ihl & 0xF < 5 {
                assert_eq!(parsed, Err(DropReason::IpMalformed), "{version_ihl:#x}");
            }
        }
    }

    #[test]
    fn a_super_packet_is_as_large_as_its_segments() {
        let frame = tcp([10, 0, 0, 5], [10, 0, 0, 7]);
        let parsed = headers(&Bytes::gso(&frame, 1400), 0).expect("valid");
        assert_eq!(parsed.segment, 20 + 20 + 1400);
    }
}
