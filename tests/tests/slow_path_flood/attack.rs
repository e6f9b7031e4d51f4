//! Frames to or from 2^16 addresses, one after the other, as fast as a thread can.

use anyhow::{Result, anyhow, ensure};
use dataplane_tests::{
    net::{Frame, Link, PacketSocket, SOON, Site},
    packet::{patch, received, udp},
    policy::RED,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};
use xtask::lab::wait_until;

/// Addresses of a scan: all of 10.1.0.0/16, of which nobody has one.
pub(crate) const ADDRESSES: u32 = 1 << 16;

/// A flood under way. Dropping it stops it.
pub(crate) struct Attack {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Attack {
    /// The tenant red sends to all addresses.
    pub(crate) fn of_a_tenant(site: &Site) -> Result<Self> {
        let socket = PacketSocket::open_for(site.vm("red-vm1"), "eth0", 0x88b5)?;
        let frames = addresses().map(|to| udp([10, 0, 0, 5], to, 18));
        Ok(Self::start(socket, frames.collect()))
    }

    /// The other host sends to the tenant red from all addresses.
    pub(crate) fn of_a_peer(site: &Site) -> Result<Self> {
        let socket = PacketSocket::open_for(site.host(1), "eth0", 0x88b5)?;
        let mac = |host| Link::named(site.host(host), "eth0")?.bytes();
        let macs = [mac(0)?, mac(1)?].concat();
        let frames = addresses().map(|from| {
            let inner = udp(from, [10, 0, 0, 5], 18);
            patch(&received(RED, [192, 0, 2, 2], 0, &inner), 0, &macs)
        });
        Ok(Self::start(socket, frames.collect()))
    }

    fn start(socket: PacketSocket, frames: Vec<Frame>) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, told) = (stop.clone(), sent.clone());
        let thread = thread::spawn(move || {
            for frame in frames.iter().cycle() {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                // A queue that is full is no reason to stop.
                if socket.send(frame).is_ok() {
                    told.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// Waits until it was at every address once.
    pub(crate) fn scanned(&self) -> Result<()> {
        wait_until("a scan of all addresses", SOON, || {
            let sent = self.sent.load(Ordering::Relaxed);
            ensure!(sent >= ADDRESSES.into(), "{sent} frames");
            Ok(Some(()))
        })
    }

    /// Stops it; how many frames it sent.
    pub(crate) fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        ended.map_err(|_| anyhow!("the thread of the flood panicked"))?;
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn addresses() -> impl Iterator<Item = [u8; 4]> {
    (0..ADDRESSES).map(|number| (0x0A01_0000 + number).to_be_bytes())
}
