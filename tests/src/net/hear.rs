//! Who hears what is said to everybody.

use super::{Frame, PacketSocket, SOON, Site, outer::carries, plan::Vm};
use anyhow::{Context, Result, ensure};
use etherparse::PacketBuilder;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};
use xtask::lab::wait_until;

/// Ports of the datagrams: nobody listens, and nobody cares.
const PORTS: (u16, u16) = (4000, 0x600D);

/// Bytes of a payload that no other packet has.
pub fn mark() -> [u8; 12] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut mark = *b"mark........";
    mark[4..].copy_from_slice(&number);
    mark
}

/// A datagram of a VM to everybody, or to a group.
pub fn call(vm: &Vm, to: &str, mark: &[u8]) -> Result<Frame> {
    let to: IpAddr = to.parse()?;
    let own = vm.cas.iter().map(|ca| ca.parse::<IpAddr>());
    let own = own
        .filter_map(Result::ok)
        .find(|ca| ca.is_ipv4() == to.is_ipv4());
    let ethernet = PacketBuilder::ethernet2(vm.mac(), group_mac(to));
    let packet = match (own, to) {
        (Some(IpAddr::V4(from)), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 8),
        (Some(IpAddr::V6(from)), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 8),
        _ => anyhow::bail!("{} has no address of the family of {to}", vm.name),
    };
    let mut frame = Frame::new();
    packet.udp(PORTS.0, PORTS.1).write(&mut frame, mark)?;
    Ok(frame)
}

/// A datagram of a VM to another, straight to its MAC.
pub fn tell(from: &Vm, to: &Vm, mark: &[u8]) -> Result<Frame> {
    let to_ca = to.cas.first().context("it has no address")?;
    let mut frame = call(from, to_ca, mark)?;
    frame[..6].copy_from_slice(&to.mac());
    Ok(frame)
}

/// The MAC of everybody, or of a group (RFC 1112 section 6.4, RFC 2464 section 7).
fn group_mac(to: IpAddr) -> [u8; 6] {
    match to {
        IpAddr::V4(to) if to.is_broadcast() => [0xFF; 6],
        IpAddr::V4(to) => {
            let [_, b, c, d] = to.octets();
            [1, 0, 0x5E, b & 0x7F, c, d]
        }
        IpAddr::V6(to) => {
            let [.., a, b, c, d] = to.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

/// Sockets at VMs that see what comes to them, and nothing that they send.
#[derive(Debug)]
pub struct Ears(Vec<(String, PacketSocket, Vec<Frame>)>);

impl Ears {
    /// At these VMs, for one `EtherType`.
    pub fn at<'v>(
        site: &Site,
        vms: impl IntoIterator<Item = &'v Vm>,
        ethertype: u16,
    ) -> Result<Self> {
        let open = |vm: &Vm| {
            let socket = PacketSocket::open_for(site.vm(&vm.name), "eth0", ethertype)?;
            Ok((vm.name.clone(), socket, Vec::new()))
        };
        vms.into_iter().map(open).collect::<Result<_>>().map(Self)
    }

    /// How often each has heard a mark; who has not is not there.
    pub fn heard(&mut self, mark: &[u8]) -> Result<BTreeMap<&str, usize>> {
        let mut heard = BTreeMap::new();
        for (name, socket, frames) in &mut self.0 {
            frames.extend(socket.drain()?);
            let times = frames.iter().filter(|frame| carries(frame, mark)).count();
            if times > 0 {
                heard.insert(name.as_str(), times);
            }
        }
        Ok(heard)
    }

    /// Waits until exactly these have heard a mark, each of them so often.
    pub fn only(&mut self, mark: &[u8], who: &[&str], times: usize) -> Result<()> {
        let wanted: BTreeMap<&str, usize> = who.iter().map(|name| (*name, times)).collect();
        wait_until(&format!("{who:?} to hear it"), SOON, || {
            let heard = self.heard(mark)?;
            ensure!(heard == wanted, "it was heard by {heard:?}");
            Ok(Some(()))
        })
    }
}
