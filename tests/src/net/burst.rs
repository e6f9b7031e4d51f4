//! Numbered datagrams that are sent as fast as the sender can, and what arrives of them.

use super::{SOON, inside, traffic::any};
use anyhow::{Result, ensure};
use rustix::net::sockopt;
use std::{
    net::{IpAddr, UdpSocket},
    time::{Duration, Instant},
};
use xtask::lab::Netns;

/// Room at the receiver for whatever a test sends.
const BUFFER: usize = 16 << 20;
/// How long after the last datagram another may still come.
const LINGER: Duration = Duration::from_millis(500);

/// Two sockets, one in each namespace.
#[derive(Debug)]
pub struct Burst {
    sender: UdpSocket,
    receiver: UdpSocket,
    sent: u64,
}

impl Burst {
    /// From a namespace to an address of another.
    pub fn between(from: &Netns, to: &Netns, address: &str) -> Result<Self> {
        let address: IpAddr = address.parse()?;
        let receiver = inside(to, || Ok(UdpSocket::bind((address, 0))?))?;
        sockopt::set_socket_recv_buffer_size_force(&receiver, BUFFER)?;
        receiver.set_read_timeout(Some(LINGER))?;
        let sender = inside(from, || Ok(UdpSocket::bind(any(address))?))?;
        sender.connect(receiver.local_addr()?)?;
        Ok(Self {
            sender,
            receiver,
            sent: 0,
        })
    }

    /// Sends so many datagrams, numbered from 0.
    pub fn send(&mut self, count: u64) -> Result<()> {
        for number in self.sent..self.sent + count {
            self.sender.send(&number.to_be_bytes())?;
        }
        self.sent += count;
        Ok(())
    }

    /// The numbers that arrived, in their order: as soon as all are there, or none comes any more.
    pub fn arrived(&self) -> Result<Vec<u64>> {
        let (until, mut numbers, mut word) = (Instant::now() + SOON, Vec::new(), [0; 8]);
        while (numbers.len() as u64) < self.sent && Instant::now() < until {
            match self.receiver.recv(&mut word) {
                Ok(8) => numbers.push(u64::from_be_bytes(word)),
                _ => break,
            }
        }
        Ok(numbers)
    }

    /// Every datagram arrives once. A packet that finds the record in the table may overtake those
    /// that wait for it, nothing else: at each of `places` where packets wait, those that waited
    /// keep their order, and so do those that did not.
    pub fn whole(&self, places: usize) -> Result<()> {
        let numbers = self.arrived()?;
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        ensure!(
            sorted.iter().copied().eq(0..self.sent),
            "of {} these arrived: {numbers:?}",
            self.sent
        );
        let parts = overtaken(&numbers);
        ensure!(parts <= places, "{parts} times out of order: {numbers:?}");
        // Whatever comes twice comes soon.
        self.receiver.set_read_timeout(Some(LINGER / 10))?;
        ensure!(self.receiver.recv(&mut [0; 8]).is_err(), "a datagram twice");
        self.receiver.set_read_timeout(Some(LINGER))?;
        Ok(())
    }
}

/// How many numbers arrived before their predecessor.
fn overtaken(numbers: &[u64]) -> usize {
    let mut place = vec![0; numbers.len()];
    for (at, number) in numbers.iter().enumerate() {
        if let Some(of_number) = usize::try_from(*number).ok().and_then(|n| place.get_mut(n)) {
            *of_number = at;
        }
    }
    place.windows(2).filter(|pair| pair[1] < pair[0]).count()
}

#[cfg(test)]
mod tests {
    use super::overtaken;

    #[test]
    fn one_overtaking_is_one_whatever_its_length() {
        assert_eq!(overtaken(&[0, 1, 2, 3]), 0);
        assert_eq!(overtaken(&[2, 3, 0, 1]), 1);
        assert_eq!(overtaken(&[0, 3, 1, 4, 2, 5]), 1);
        assert_eq!(overtaken(&[3, 2, 1, 0]), 3);
    }
}
