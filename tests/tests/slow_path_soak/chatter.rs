//! Packets of every kind that user space sees, a few hundred a second.

use super::world::{CHATTER, FIRST};
use anyhow::{Result, anyhow};
use dataplane_tests::{
    net::{Link, PacketSocket, Site},
    packet::{patch, patch_ip, received, udp},
    policy::BLUE,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Between two packets: below what a port may leave to user space, with room for the probes.
const PAUSE: Duration = Duration::from_millis(2);
/// Payload of a packet that the port takes, and the path does not.
const LONG: usize = 1470;
/// Offset of flags and fragment offset in a frame, and "don't fragment".
const FLAGS: usize = 20;
const DF: [u8; 2] = [0x40, 0];

/// A thread that sends. Dropping it stops it.
pub(crate) struct Chatter {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Chatter {
    /// The tenant blue on `host-a` begins to talk, and `host-b` to send for CAs that nobody has.
    pub(crate) fn start(site: &Site) -> Result<Self> {
        let open = |netns| PacketSocket::open_for(netns, "eth0", 0x88b5);
        let (tenant, peer) = (open(site.vm("blue-vm1"))?, open(site.host(1))?);
        let mac = |host| Link::named(site.host(host), "eth0")?.bytes();
        let macs = [mac(0)?, mac(1)?].concat();
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, told) = (stop.clone(), sent.clone());
        let thread = thread::spawn(move || {
            for number in 0_u32.. {
                if until.load(Ordering::Relaxed) {
                    return;
                }
                let sent = if number % 8 == 7 {
                    peer.send(&patch(&unknown(number), 0, &macs))
                } else {
                    tenant.send(&frame(number))
                };
                // A device that is down takes none.
                if sent.is_ok() {
                    told.fetch_add(1, Ordering::Relaxed);
                }
                thread::sleep(PAUSE);
            }
        });
        let thread = Some(thread);
        Ok(Self { stop, sent, thread })
    }

    /// Packets sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops it; how many packets it sent.
    pub(crate) fn stop(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        ended.map_err(|_| anyhow!("the thread that talks panicked"))?;
        Ok(self.sent())
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn frame(number: u32) -> Vec<u8> {
    let own = [10, 0, 0, 5];
    let known = (FIRST + CHATTER.start + number / 8 % (CHATTER.end - CHATTER.start)).to_be_bytes();
    let nobody = (0x0A03_0000 + number % 65_536).to_be_bytes();
    match number % 8 {
        0 => udp(own, known, LONG),
        1 => patch_ip(&udp(own, known, LONG), FLAGS, &DF),
        2..5 => udp(own, known, 18),
        _ => udp(own, nobody, 18),
    }
}

/// A packet of the underlay from a CA without a record.
fn unknown(number: u32) -> Vec<u8> {
    let nobody = (0x0A04_0000 + number % 65_536).to_be_bytes();
    received(BLUE, [192, 0, 2, 2], 0, &udp(nobody, [10, 0, 0, 5], 18))
}
