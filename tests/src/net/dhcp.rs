//! DHCP between two tenants' VMs: as much of RFC 2131 as a lease takes.

mod message;

use self::message::{ACK, BROADCAST, DISCOVER, Message, OFFER, REQUEST};
use super::{Frame, PacketSocket, SOON};
use anyhow::{Context, Result, ensure};
use etherparse::PacketBuilder;
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use xtask::lab::Netns;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const BEAT: Duration = Duration::from_millis(2);
/// How long a client waits before it asks again.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server that has one address to give. It is off when this is dropped.
#[derive(Debug)]
pub struct DhcpServer {
    off: Arc<AtomicBool>,
    life: Option<JoinHandle<Result<()>>>,
}

impl DhcpServer {
    /// In a VM with this MAC and address.
    pub fn on(vm: &Netns, mac: [u8; 6], own: &str, gives: &str) -> Result<Self> {
        let (own, gives) = (own.parse()?, gives.parse()?);
        let socket = PacketSocket::open(vm, "eth0")?;
        let off = Arc::<AtomicBool>::default();
        let until = off.clone();
        let life = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                for frame in socket.drain()? {
                    if let Some(asked) = Message::of(&frame, SERVER_PORT) {
                        socket.send(&answer(&asked, mac, (own, gives))?)?;
                    }
                }
                thread::sleep(BEAT);
            }
            Ok(())
        });
        Ok(Self {
            off,
            life: Some(life),
        })
    }
}

impl Drop for DhcpServer {
    fn drop(&mut self) {
        self.off.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.life.take().map(JoinHandle::join) {
            eprintln!("the DHCP server ended: {error:#}");
        }
    }
}

/// What the server says to a message.
fn answer(asked: &Message, mac: [u8; 6], (own, gives): (Ipv4Addr, Ipv4Addr)) -> Result<Frame> {
    let kind = if asked.kind == DISCOVER { OFFER } else { ACK };
    let said = Message {
        kind,
        address: gives,
        server: own,
        ..*asked
    };
    let everybody = asked.flags & BROADCAST != 0;
    let (to_mac, to) = if everybody {
        ([0xFF; 6], Ipv4Addr::BROADCAST)
    } else {
        (asked.client, gives)
    };
    frame((mac, own, SERVER_PORT), (to_mac, to, CLIENT_PORT), &said)
}

type End = ([u8; 6], Ipv4Addr, u16);

fn frame(from: End, to: End, message: &Message) -> Result<Frame> {
    let mut frame = Frame::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ipv4(from.1.octets(), to.1.octets(), 64)
        .udp(from.2, to.2)
        .write(&mut frame, &message.bytes())?;
    Ok(frame)
}

/// Has a VM ask for an address until it is given one, by broadcast.
pub fn lease(vm: &Netns, mac: [u8; 6]) -> Result<Ipv4Addr> {
    lease_with(vm, mac, BROADCAST)
}

/// The same of a VM that takes answers to an address that it does not have yet.
pub fn lease_by_unicast(vm: &Netns, mac: [u8; 6]) -> Result<Ipv4Addr> {
    lease_with(vm, mac, 0)
}

fn lease_with(vm: &Netns, mac: [u8; 6], flags: u16) -> Result<Ipv4Addr> {
    let socket = PacketSocket::open(vm, "eth0")?;
    let id = u32::from_be_bytes([mac[2], mac[3], mac[4], mac[5]]);
    let discover = Message {
        kind: DISCOVER,
        id,
        flags,
        address: Ipv4Addr::UNSPECIFIED,
        client: mac,
        server: Ipv4Addr::UNSPECIFIED,
    };
    let offer = ask(&socket, &discover, OFFER)?;
    let request = Message {
        kind: REQUEST,
        ..offer
    };
    let ack = ask(&socket, &request, ACK)?;
    ensure!(ack.address == offer.address, "{ack:?} after {offer:?}");
    Ok(ack.address)
}

/// Sends a message now and then until the answer is there.
fn ask(socket: &PacketSocket, message: &Message, wanted: u8) -> Result<Message> {
    let from = (message.client, Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
    let asked = frame(from, ([0xFF; 6], Ipv4Addr::BROADCAST, SERVER_PORT), message)?;
    let until = Instant::now() + SOON;
    while Instant::now() < until {
        socket.send(&asked)?;
        let again = Instant::now() + PATIENCE;
        while Instant::now() < again {
            let frames = socket.drain()?;
            let messages = frames
                .iter()
                .filter_map(|frame| Message::of(frame, CLIENT_PORT));
            let mut answers = messages.filter(|m| m.kind == wanted && m.id == message.id);
            if let Some(answer) = answers.next() {
                return Ok(answer);
            }
            thread::sleep(BEAT);
        }
    }
    None.with_context(|| format!("no DHCP message of kind {wanted} came"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_speaks_to_its_client() {
        let asked = Message {
            kind: DISCOVER,
            id: 7,
            flags: 0,
            address: Ipv4Addr::UNSPECIFIED,
            client: [2, 0, 0, 0, 0, 5],
            server: Ipv4Addr::UNSPECIFIED,
        };
        let gives = ([10, 0, 0, 9].into(), [10, 0, 0, 50].into());
        let frame = answer(&asked, [2; 6], gives).expect("a frame");
        assert_eq!(frame[..6], asked.client);
        let said = Message::of(&frame, CLIENT_PORT).expect("a message");
        assert_eq!((said.kind, said.address), (OFFER, gives.1));
    }
}
