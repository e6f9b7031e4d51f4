//! A plain host that asks for addresses, frame by frame.

use anyhow::{Result, ensure};
use dataplane_common::id::Mac;
use dataplane_tests::{
    net::{Frame, Link, PacketSocket, SOON},
    packet::{
        arp,
        icmp::{icmpv6, solicited_node},
    },
};
use std::net::{IpAddr, Ipv6Addr};
use xtask::lab::{Netns, wait_until};

/// One that has an address of its own on a device.
#[derive(Debug)]
pub(crate) struct Asker {
    socket: PacketSocket,
    mac: Mac,
    own: IpAddr,
}

impl Asker {
    pub(crate) fn at(netns: &Netns, device: &str, own: &str) -> Result<Self> {
        Ok(Self {
            socket: PacketSocket::open(netns, device)?,
            mac: Mac(Link::named(netns, device)?.bytes()?),
            own: own.parse()?,
        })
    }

    /// "Who has `pa`", to all who may have it; in IPv6 without the asker's MAC.
    pub(crate) fn ask(&self, pa: &str) -> Result<()> {
        let question = match (self.own, pa.parse()?) {
            (IpAddr::V4(own), IpAddr::V4(pa)) => {
                let sender = (self.mac, own.octets());
                arp(1, Mac::BROADCAST, sender, (Mac([0; 6]), pa.octets()))
            }
            (IpAddr::V6(own), IpAddr::V6(pa)) => self.solicit(own, pa),
            _ => anyhow::bail!("{pa} is of another family"),
        };
        self.socket.send(&question)
    }

    /// "Does anybody have `pa`", of one who would have it.
    pub(crate) fn probe(&self, pa: &str) -> Result<()> {
        let question = match pa.parse()? {
            IpAddr::V4(pa) => {
                let nobody = (self.mac, [0; 4]);
                arp(1, Mac::BROADCAST, nobody, (Mac([0; 6]), pa.octets()))
            }
            IpAddr::V6(pa) => self.solicit(Ipv6Addr::UNSPECIFIED, pa),
        };
        self.socket.send(&question)
    }

    fn solicit(&self, own: Ipv6Addr, pa: Ipv6Addr) -> Frame {
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend(pa.octets());
        let (group, mac) = solicited_node(pa);
        icmpv6((mac, self.mac), (own, group), 255, &message)
    }

    /// The MAC in the answer about `pa`.
    pub(crate) fn answer(&self, pa: &str) -> Result<String> {
        let what = format!("an answer about {pa}");
        let pa: IpAddr = pa.parse()?;
        let frame = self
            .socket
            .find(&what, |frame| answered(frame, pa).is_some())?;
        let mac = answered(&frame, pa).expect("it was found");
        ensure!(
            frame[6..12] == mac.0,
            "{mac} is not its sender: {frame:02x?}"
        );
        Ok(mac.to_string())
    }

    /// Nobody answers about `pa`; about `control`, which is asked for after it, somebody does.
    pub(crate) fn nobody_has(&self, pa: &str, control: &str) -> Result<()> {
        self.socket.drain()?;
        self.ask(pa)?;
        self.ask(control)?;
        let (pa, sure) = (pa.parse()?, control.parse()?);
        let mut frames = Vec::new();
        wait_until(&format!("an answer about {control}"), SOON, || {
            frames.extend(self.socket.drain()?);
            let came = frames.iter().any(|frame| answered(frame, sure).is_some());
            Ok(came.then_some(()))
        })?;
        let wrong = frames.iter().find(|frame| answered(frame, pa).is_some());
        ensure!(wrong.is_none(), "{pa} is answered for: {wrong:02x?}");
        Ok(())
    }

    /// Waits for so many announcements of `pa` at this MAC.
    pub(crate) fn hears(&self, pa: &str, mac: &str, times: usize) -> Result<()> {
        let pa = pa.parse()?;
        let mut heard = 0;
        wait_until(&format!("{times} announcements of {pa}"), SOON, || {
            let frames = self.socket.drain()?;
            let told = frames.iter().filter_map(|frame| announced(frame, pa));
            heard += told.filter(|at| at.to_string() == mac).count();
            Ok((heard >= times).then_some(()))
        })
    }
}

/// The MAC in a reply or a solicited or probed advertisement about `pa`.
fn answered(frame: &[u8], pa: IpAddr) -> Option<Mac> {
    match pa {
        IpAddr::V4(pa) => sender(frame, 2, pa.octets()),
        IpAddr::V6(pa) => advertised(frame, pa),
    }
}

/// The same of an announcement: a request for its sender's address, or an advertisement to all.
fn announced(frame: &[u8], pa: IpAddr) -> Option<Mac> {
    match pa {
        IpAddr::V4(pa) => {
            let mac = sender(frame, 1, pa.octets())?;
            (frame.get(38..42)? == pa.octets()).then_some(mac)
        }
        IpAddr::V6(pa) => {
            let to_all = frame.starts_with(&[0x33, 0x33, 0, 0, 0, 1]);
            // Neither from a router nor solicited, and it overrides.
            let flags = frame.get(58) == Some(&0x20) && frame.get(21) == Some(&255);
            advertised(frame, pa).filter(|_| to_all && flags)
        }
    }
}

fn sender(frame: &[u8], operation: u8, pa: [u8; 4]) -> Option<Mac> {
    let known = frame.get(12..22)? == [8, 6, 0, 1, 8, 0, 6, 4, 0, operation];
    let mac = frame.get(22..28)?.try_into().ok()?;
    (known && frame.get(28..32)? == pa).then_some(Mac(mac))
}

fn advertised(frame: &[u8], pa: Ipv6Addr) -> Option<Mac> {
    let known = frame.get(12..14)? == [0x86, 0xDD] && frame.get(20)? == &58;
    let about = frame.get(54)? == &136 && frame.get(62..78)? == pa.octets();
    let mac = frame.get(80..86)?.try_into().ok()?;
    (known && about && frame.get(78..80)? == [2, 1]).then_some(Mac(mac))
}
