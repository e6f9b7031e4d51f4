//! A steady stream of numbered datagrams, and which of them did not arrive.

use super::{SOON, inside, traffic::any};
use anyhow::{Context, Result, anyhow, ensure};
use rustix::net::sockopt;
use std::{
    fmt,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use xtask::lab::{Netns, wait_until};

/// Datagrams per second that a restart must not lose any of.
pub const STEADY: u32 = 20_000;

/// Room at the receiver: what arrives while it has no CPU is not the dataplane's loss.
const BUFFER: usize = 64 << 20;
/// Datagrams that are sent at once at most, so that a stalled sender does not overrun the
/// 256 slots of a veth's ring when it goes on.
const BURST: u64 = 64;
const BEAT: Duration = Duration::from_millis(1);
/// How long after the last datagram another may still come.
const LINGER: Duration = Duration::from_millis(500);

/// A stream under way. Dropping it stops it.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    arrived: Arc<AtomicU64>,
    sender: Option<JoinHandle<(u64, Duration)>>,
    receiver: Option<JoinHandle<Vec<u64>>>,
}

/// What became of a stream.
#[derive(Debug)]
pub struct Tally {
    /// Datagrams sent; the kernel took all of them.
    pub sent: u64,
    /// Different ones that arrived.
    pub received: u64,
    /// Arrivals beyond the first of the same number.
    pub duplicates: u64,
    /// First number and length of each run that is missing.
    pub gaps: Vec<(u64, u64)>,
    /// How long it was sent.
    pub time: Duration,
}

impl Stream {
    /// Starts sending from one namespace to an address in another.
    pub fn start(from: &Netns, to: &Netns, address: &str, per_second: u32) -> Result<Self> {
        let address: IpAddr = address.parse()?;
        let receiver = inside(to, || Ok(UdpSocket::bind((address, 0))?))?;
        sockopt::set_socket_recv_buffer_size_force(&receiver, BUFFER)?;
        receiver.set_read_timeout(Some(BEAT * 50))?;
        let to = receiver.local_addr()?;
        let sender = inside(from, || Ok(UdpSocket::bind(any(address))?))?;
        let (stop, arrived) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, told) = (stop.clone(), arrived.clone());
        let sent = Arc::<AtomicU64>::default();
        Ok(Self {
            receiver: Some(thread::spawn(move || receive(&receiver, &until, &told))),
            sender: Some(thread::spawn({
                let (until, told) = (stop.clone(), sent.clone());
                let pace = Pace {
                    to,
                    per_second: per_second.into(),
                };
                move || send(&sender, &pace, &until, &told)
            })),
            stop,
            sent,
            arrived,
        })
    }

    /// Datagrams sent so far: the number of the next one.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Datagrams that arrived so far.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Waits until so many more have arrived.
    pub fn flows(&self, more: u64) -> Result<()> {
        let goal = self.arrived() + more;
        wait_until("more of the stream", SOON, || {
            let now = self.arrived();
            ensure!(now >= goal, "{now} of {goal}");
            Ok(Some(()))
        })
    }

    /// Stops it and counts.
    pub fn finish(mut self) -> Result<Tally> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.take().context("no sender")?.join();
        let numbers = self.receiver.take().context("no receiver")?.join();
        let panicked = |_| anyhow!("a thread of the stream panicked");
        let ((sent, time), numbers) = (sent.map_err(panicked)?, numbers.map_err(panicked)?);
        Ok(Tally {
            time,
            ..Tally::of(sent, numbers)
        })
    }

    /// Stops it; every datagram must have arrived once.
    pub fn lossless(self) -> Result<Tally> {
        let tally = self.finish()?;
        ensure!(tally.sent > 0, "nothing was sent");
        ensure!(tally.lost() == 0 && tally.duplicates == 0, "{tally}");
        Ok(tally)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Tally {
    fn of(sent: u64, mut numbers: Vec<u64>) -> Self {
        let arrivals = numbers.len() as u64;
        numbers.sort_unstable();
        numbers.dedup();
        let received = numbers.len() as u64;
        let (mut gaps, mut next) = (Vec::new(), 0);
        for number in numbers.into_iter().chain([sent]) {
            if number > next {
                gaps.push((next, number - next));
            }
            next = number + 1;
        }
        Self {
            sent,
            received,
            duplicates: arrivals - received,
            gaps,
            time: Duration::ZERO,
        }
    }

    /// Datagrams that never arrived.
    pub fn lost(&self) -> u64 {
        self.sent - self.received
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            duplicates,
            time,
            ..
        } = self;
        write!(f, "{sent} sent in {time:.1?}, {} lost", self.lost())?;
        write!(f, ", {duplicates} twice")?;
        for (first, length) in self.gaps.iter().take(10) {
            write!(f, "; {length} missing from {first} on")?;
        }
        Ok(())
    }
}

/// Where to, and how fast.
struct Pace {
    to: SocketAddr,
    per_second: u64,
}

/// Sends on the beat until told to stop; how many, and for how long.
fn send(socket: &UdpSocket, pace: &Pace, stop: &AtomicBool, told: &AtomicU64) -> (u64, Duration) {
    let Pace { to, per_second } = *pace;
    let (started, mut sent, mut skipped) = (Instant::now(), 0_u64, 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let elapsed = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let due = elapsed * per_second / 1_000_000 - skipped;
        // What is late is not caught up on all at once.
        let now = due.min(sent + BURST);
        skipped += due - now;
        while sent < now && socket.send_to(&sent.to_be_bytes(), to).is_ok() {
            sent += 1;
            told.store(sent, Ordering::Relaxed);
        }
        thread::sleep(BEAT);
    }
    (sent, started.elapsed())
}

/// Takes numbers until told to stop and a while after the last one.
fn receive(socket: &UdpSocket, stop: &AtomicBool, arrived: &AtomicU64) -> Vec<u64> {
    let (mut numbers, mut last, mut word) = (Vec::new(), Instant::now(), [0; 8]);
    loop {
        if let Ok(8) = socket.recv(&mut word) {
            numbers.push(u64::from_be_bytes(word));
            arrived.store(numbers.len() as u64, Ordering::Relaxed);
            last = Instant::now();
        } else if stop.load(Ordering::Relaxed) && last.elapsed() > LINGER {
            return numbers;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_found() {
        let tally = Tally::of(8, vec![1, 2, 2, 5, 4]);
        assert_eq!((tally.received, tally.duplicates, tally.lost()), (4, 1, 4));
        assert_eq!(tally.gaps, [(0, 1), (3, 1), (6, 2)]);
        assert_eq!(Tally::of(2, vec![1, 0]).gaps, []);
    }
}
