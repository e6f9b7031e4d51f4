//! The packets, and when each of them left and came.

use std::{
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use dataplane_common::id::Mac;
use hdrhistogram::Histogram;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send, sockopt},
};
use xtask::lab::{Netns, inside, interrupted};

use super::super::tables;
use crate::packet_socket::{self, EVERYTHING};

/// Who sends, to how many destinations, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// MAC and CA of the sender.
    pub sender: (Mac, u32),
    /// CA of the first destination; the others follow. The MAC of each is 02:00 and its CA.
    pub first: u32,
    /// How many there are. To each go two packets: the second follows when the first is there.
    pub destinations: u32,
    /// New destinations a second at most; above the rate of a port's bucket they would be dropped.
    pub per_second: u32,
}

/// Bytes of a frame of a tenant in front of what it carries, and of the outer headers.
const PAYLOAD: usize = 42;
const OUTER: usize = 42;
/// Offset of the outer header's protocol, and GRE's number.
const PROTOCOL: (usize, u8) = (23, 47);
/// Room for what arrives while the thread that reads has no CPU.
const BUFFER: usize = 16 << 20;
/// How long the next packet is held back for one that does not come. One that comes later than this
/// counts as having come, with all its time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Packets of one kind.
#[derive(Clone, Debug)]
pub struct Leg {
    /// From the sender's call to the arrival at the far end of the underlay, nanoseconds.
    pub times: Histogram<u64>,
    /// Packets that never came.
    pub lost: u32,
    /// Arrivals beyond a packet's first.
    pub twice: u32,
    /// How often each packet came.
    arrivals: Vec<u32>,
}

impl Leg {
    fn new(packets: u32) -> Result<Self> {
        let longest = u64::try_from(Duration::from_mins(1).as_nanos())?;
        Ok(Self {
            times: Histogram::new_with_bounds(1, longest, 3)?,
            lost: 0,
            twice: 0,
            arrivals: vec![0; packets as usize],
        })
    }

    fn count(&mut self) {
        let lost = self.arrivals.iter().filter(|count| **count == 0).count();
        let extra = self.arrivals.iter().map(|count| count.saturating_sub(1));
        self.twice = extra.sum();
        self.lost = u32::try_from(lost).unwrap_or(u32::MAX);
    }
}

/// What a packet carries besides the time at which it left: its leg, and its destination's number.
type Mark = (u16, u32);

/// A packet of ours begins so.
const OURS: [u8; 2] = [0xF1, 0x57];
/// No packet's.
const NONE: Mark = (u16::MAX, u32::MAX);

struct Ends {
    course: Course,
    source: OwnedFd,
    sink: OwnedFd,
    legs: [Leg; 2],
}

impl Course {
    /// Sends from `eth0` of a tenant and looks at `eth0` of the host at the far end of the underlay.
    /// The first packets to each destination, and the second ones.
    pub fn run(self, tenant: &Netns, far: &Netns) -> Result<[Leg; 2]> {
        let open = |netns| inside(netns, || packet_socket::open("eth0", EVERYTHING));
        let (source, sink) = (open(tenant)?, open(far)?);
        sockopt::set_socket_recv_buffer_size_force(&sink, BUFFER)?;
        packet_socket::ignore_outgoing(&sink)?;
        packet_socket::stamp(&sink)?;
        let mut ends = Ends {
            course: self,
            source,
            sink,
            legs: [Leg::new(self.destinations)?, Leg::new(self.destinations)?],
        };
        ends.all()?;
        Ok(ends.legs)
    }
}

impl Ends {
    fn all(&mut self) -> Result<()> {
        let beat = Duration::from_secs(1) / self.course.per_second;
        let mut next = Instant::now();
        for number in 0..self.course.destinations {
            for leg in [0, 1] {
                self.send((leg, number))?;
                self.wait_for((leg, number), PATIENCE)?;
            }
            interrupted()?;
            // What is late is not caught up on: the bucket would take it for a burst.
            next = Instant::now().max(next + beat);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        // Whatever comes a second time, or late.
        self.wait_for(NONE, PATIENCE)?;
        self.legs.iter_mut().for_each(Leg::count);
        Ok(())
    }

    fn send(&self, (leg, number): Mark) -> Result<()> {
        let ((mac, from), to) = (self.course.sender, self.course.first + number);
        let mut frame = tables::frame(mac, from, to);
        let mut carried = [OURS, leg.to_be_bytes()].concat();
        carried.extend(number.to_be_bytes());
        let left = SystemTime::now().duration_since(UNIX_EPOCH)?;
        carried.extend(u64::try_from(left.as_nanos())?.to_be_bytes());
        frame[PAYLOAD..][..carried.len()].copy_from_slice(&carried);
        send(&self.source, &frame, SendFlags::empty()).context("cannot send a frame")?;
        Ok(())
    }

    /// Takes what comes until this packet does, or the time is up.
    fn wait_for(&mut self, mark: Mark, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut room = [0; 2048];
        while Instant::now() < deadline {
            match recv(&self.sink, &mut room[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    if self.take(&room[..len])? == Some(mark) {
                        return Ok(());
                    }
                }
                Err(Errno::AGAIN) => {
                    self.sleep(deadline.saturating_duration_since(Instant::now()))?;
                }
                Err(error) => return Err(error).context("cannot read frames"),
            }
        }
        Ok(())
    }

    fn sleep(&self, limit: Duration) -> Result<()> {
        let mut asked = [PollFd::new(&self.sink, PollFlags::IN)];
        match poll(&mut asked, Some(&Timespec::try_from(limit)?)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for frames"),
        }
    }

    /// Notes a packet's arrival; `None`: it is none of ours.
    fn take(&mut self, frame: &[u8]) -> Result<Option<Mark>> {
        let Some((mark, left)) = read(frame) else {
            return Ok(None);
        };
        let came = packet_socket::stamp(&self.sink)?;
        let (leg, number) = mark;
        let place = self.legs.get_mut(usize::from(leg)).and_then(|leg| {
            let count = leg.arrivals.get_mut(number as usize)?;
            Some((&mut leg.times, count))
        });
        let (times, count) = place.context("a packet with a number that nobody gave it")?;
        *count += 1;
        if *count == 1 {
            let took = came
                .checked_sub(left)
                .context("the clock went back while a packet was under way")?;
            times.saturating_record(u64::try_from(took.as_nanos())?.max(1));
        }
        Ok(Some(mark))
    }
}

/// What a frame of the underlay carries, and when it left.
fn read(frame: &[u8]) -> Option<(Mark, Duration)> {
    let (protocol, gre) = PROTOCOL;
    if frame.get(protocol) != Some(&gre) {
        return None;
    }
    let carried = frame.get(OUTER + PAYLOAD..)?.strip_prefix(&OURS)?;
    let (leg, rest) = carried.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (left, _) = rest.split_first_chunk()?;
    let mark = (u16::from_be_bytes(*leg), u32::from_be_bytes(*number));
    Some((mark, Duration::from_nanos(u64::from_be_bytes(*left))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_tells_what_is_missing_and_what_came_again() {
        let mut leg = Leg::new(4).expect("a leg");
        leg.arrivals = vec![1, 0, 3, 1];
        leg.count();
        assert_eq!((leg.lost, leg.twice), (1, 2));
    }

    #[test]
    fn what_a_packet_carries_is_read_behind_both_headers() {
        let mut inner = tables::frame(tables::mac(tables::CA), tables::CA, tables::FIRST);
        let carried = [&OURS[..], &[0, 1, 0, 0, 0, 7], &9_u64.to_be_bytes()].concat();
        inner[PAYLOAD..][..carried.len()].copy_from_slice(&carried);
        let frame = tables::tunnelled(0, &inner);
        assert_eq!(read(&frame), Some(((1, 7), Duration::from_nanos(9))));
        assert_eq!(read(&inner), None);
    }
}
