//! A virtual machine in this process: it opens a tap as QEMU does and speaks ARP and ICMP.

use super::{Frame, SOON, inside};
use crate::packet;
use anyhow::{Context, Result, ensure};
use dataplane_common::id::Mac;
use etherparse::{Icmpv4Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};
use xtask::lab::{Netns, wait_until};

/// `struct virtio_net_hdr` in front of each frame; all zero for one that is complete.
const HEADER: [u8; 10] = [0; 10];

/// The machine; it is off when this is dropped.
#[derive(Debug)]
pub struct TapVm {
    file: Arc<File>,
    off: Arc<AtomicBool>,
    came: Arc<Mutex<Vec<Frame>>>,
    life: Option<JoinHandle<io::Result<()>>>,
}

impl TapVm {
    /// Opens the tap of a host and switches the machine with that MAC and address on.
    pub fn on(host: &Netns, tap: &str, mac: Mac, address: [u8; 4]) -> Result<Self> {
        let file = inside(host, || Ok(open(tap)?)).with_context(|| format!("opening {tap}"))?;
        let (file, off) = (Arc::new(file), Arc::<AtomicBool>::default());
        let came = Arc::<Mutex<Vec<Frame>>>::default();
        let (wire, until, store) = (file.clone(), off.clone(), came.clone());
        let life = std::thread::spawn(move || {
            live(&wire, &until, |frame| {
                let answer = answer(&frame, mac, address);
                store.lock().expect("no panic before").push(frame);
                answer
            })
        });
        Ok(Self {
            file,
            off,
            came,
            life: Some(life),
        })
    }

    /// Sends a complete frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        Ok(transmit(&self.file, frame)?)
    }

    /// The first frame that `wanted` likes, as soon as it comes; forgets those before it.
    pub fn find(&self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> Result<Frame> {
        wait_until(what, SOON, || {
            let mut came = self.came.lock().expect("no panic before");
            let found = came.drain(..).find(|frame| wanted(frame));
            Ok(found)
        })
    }

    /// Waits until the tap is taken away from the running machine.
    pub fn unplugged(mut self) -> Result<()> {
        wait_until("the tap to go", SOON, || {
            let life = self.life.as_ref().context("it is off")?;
            Ok(life.is_finished().then_some(()))
        })?;
        let life = self.life.take().context("it is off")?;
        let end = life.join().expect("the machine does not panic");
        ensure!(end.is_err(), "it went off by itself");
        Ok(())
    }
}

impl Drop for TapVm {
    fn drop(&mut self) {
        self.off.store(true, Ordering::Relaxed);
        if let Some(life) = self.life.take() {
            let _ = life.join();
        }
    }
}

fn open(tap: &str) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true);
    let file = options
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: all zero is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = &mut request.ifr_name[..libc::IFNAMSIZ - 1];
    for (to, from) in name.iter_mut().zip(tap.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: `request` lives through the call, and its name ends in a zero.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// Takes frames and sends answers until switched off or unplugged.
fn live(
    mut file: &File,
    off: &AtomicBool,
    answer: impl Fn(Frame) -> Option<Frame>,
) -> io::Result<()> {
    let beat = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut room = vec![0; 1 << 17];
    while !off.load(Ordering::Relaxed) {
        poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&beat))?;
        match file.read(&mut room) {
            Ok(len) => {
                let frame = room.get(HEADER.len()..len).unwrap_or_default();
                if let Some(answer) = answer(frame.to_vec()) {
                    transmit(file, &answer)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn transmit(mut file: &File, frame: &[u8]) -> io::Result<()> {
    file.write_all(&[&HEADER, frame].concat())
}

/// What the machine says to a frame: it answers ARP and pings.
fn answer(frame: &[u8], mac: Mac, address: [u8; 4]) -> Option<Frame> {
    if frame.get(12..14)? == [8, 6] {
        let asked = frame.get(20..22)? == [0, 1] && frame.get(38..42)? == address;
        let (asker, at) = (Mac(frame.get(22..28)?.try_into().ok()?), frame.get(28..32)?);
        let at = <[u8; 4]>::try_from(at).ok()?;
        return asked.then(|| packet::arp(2, asker, (mac, address), (asker, at)));
    }
    let parsed = SlicedPacket::from_ethernet(frame).ok()?;
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) =
        (&parsed.net, &parsed.transport)
    else {
        return None;
    };
    let Icmpv4Type::EchoRequest(echo) = icmp.icmp_type() else {
        return None;
    };
    let back = PacketBuilder::ethernet2(mac.0, frame.get(6..12)?.try_into().ok()?)
        .ipv4(address, ip.header().source(), 64)
        .icmpv4_echo_reply(echo.id, echo.seq);
    let mut frame = Vec::new();
    back.write(&mut frame, icmp.payload()).ok()?;
    Some(frame)
}
