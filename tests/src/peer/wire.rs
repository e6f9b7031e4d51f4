//! NVGRE as it passes the peer's end of the underlay.

use super::Tenant;
use crate::net::{Frame, PacketSocket, Site};
use anyhow::{Context, Result, ensure};

/// A wire tap on the peer's underlay interface. Frames that the kernel did not segment yet are one.
#[derive(Debug)]
pub struct Tap(PacketSocket);

/// An NVGRE packet.
#[derive(Debug)]
pub struct Nvgre {
    /// From `nved` to the peer, or the other way.
    pub ours: bool,
    /// The upper 24 bits of the key.
    pub vsid: u32,
    /// The lower 8 bits of the key.
    pub flow_id: u8,
}

impl Tap {
    /// Opens it; from then on it collects frames.
    pub fn open(site: &Site) -> Result<Self> {
        Ok(Self(PacketSocket::open(site.host(1), "eth0")?))
    }

    /// All NVGRE packets that came so far; fails on GRE that is none.
    pub fn drain(&self) -> Result<Vec<Nvgre>> {
        let frames = self.0.drain()?;
        frames
            .iter()
            .filter(|frame| is_gre(frame))
            .map(read)
            .collect()
    }

    /// [`Tap::drain`] after one tenant alone has talked.
    pub fn drain_of(&self, tenant: Tenant) -> Result<Vec<Nvgre>> {
        let packets = self.drain()?;
        let other = packets.iter().find(|packet| packet.vsid != tenant.vsid);
        ensure!(other.is_none(), "{other:?} while {} talks", tenant.name);
        Ok(packets)
    }
}

/// IPv4 without options that bears GRE.
fn is_gre(frame: &Frame) -> bool {
    frame.get(12..15) == Some(&[8, 0, 0x45]) && frame.get(23) == Some(&47)
}

fn read(frame: &Frame) -> Result<Nvgre> {
    let header = frame.get(26..42).context("a short GRE packet")?;
    let (addresses, gre) = header.split_at(8);
    // RFC 7637 section 3.2: key and nothing else, Transparent Ethernet Bridging.
    ensure!(
        gre[..4] == [0x20, 0, 0x65, 0x58],
        "the GRE word is {gre:x?}"
    );
    let ours = match addresses {
        [192, 0, 2, 1, 192, 0, 2, 2] => true,
        [192, 0, 2, 2, 192, 0, 2, 1] => false,
        _ => anyhow::bail!("from and to: {addresses:?}"),
    };
    if ours {
        ensure!(frame[20] & 0x40 != 0, "DF is not set");
        ensure!(frame[22] == 64, "the outer TTL is {}", frame[22]);
    }
    Ok(Nvgre {
        ours,
        vsid: u32::from_be_bytes([0, gre[4], gre[5], gre[6]]),
        flow_id: gre[7],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{patch, received, sent, udp};

    #[test]
    fn packets_of_both_directions_are_read() {
        let inner = udp([10, 0, 0, 5], [10, 0, 0, 7], 8);
        let out = patch(&sent(6001, 0, &inner), 20, &[0x40]);
        let out = read(&out).unwrap();
        assert_eq!((out.ours, out.vsid, out.flow_id), (true, 6001, 0));
        let back = read(&received(7001, [192, 0, 2, 2], 0, &inner)).unwrap();
        assert_eq!((back.ours, back.vsid, back.flow_id), (false, 7001, 0x42));
    }

    #[test]
    fn gre_that_is_no_nvgre_is_told() {
        let inner = udp([10, 0, 0, 5], [10, 0, 0, 7], 8);
        let frame = received(7001, [192, 0, 2, 2], 0, &inner);
        assert!(is_gre(&frame) && !is_gre(&inner));
        let summed = read(&patch(&frame, 34, &[0xA0])).unwrap_err();
        assert!(summed.to_string().contains("GRE word"), "{summed}");
    }
}
