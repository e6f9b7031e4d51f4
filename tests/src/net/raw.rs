//! Frames as they are: a packet socket that sends anything and sees everything.

use super::{SOON, inside};
use anyhow::{Context, Result};
use dataplane_bench::packet_socket::{self, EVERYTHING};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send, sockopt},
};
use std::os::fd::OwnedFd;
use xtask::lab::{self, Netns};

/// The bytes of a frame, layer 2.
pub type Frame = Vec<u8>;

/// Room for what arrives while nobody reads.
const BUFFER: usize = 16 << 20;

/// A packet socket on one interface of a namespace.
///
/// It sees frames of both directions before TC does, and none that XDP takes.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens it; from then on it collects frames.
    pub fn open(netns: &Netns, interface: &str) -> Result<Self> {
        Self::open_for(netns, interface, EVERYTHING)
    }

    /// One that collects frames of one `EtherType` as the host's protocols get them: after TC,
    /// without their outermost VLAN tag.
    pub fn open_for(netns: &Netns, interface: &str, ethertype: u16) -> Result<Self> {
        inside(netns, || {
            let socket = packet_socket::open(interface, ethertype)?;
            sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER)?;
            Ok(Self(socket))
        })
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(&self.0, frame, SendFlags::empty()).context("cannot send a frame")?;
        anyhow::ensure!(sent == frame.len(), "{sent} of {} bytes sent", frame.len());
        Ok(())
    }

    /// All frames that came so far.
    pub fn drain(&self) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        let mut room = vec![0; 1 << 17];
        loop {
            match recv(&self.0, &mut room[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => frames.push(room[..len].to_vec()),
                Err(Errno::AGAIN) => return Ok(frames),
                Err(error) => return Err(error).context("cannot read frames"),
            }
        }
    }

    /// The first frame that `wanted` likes, as soon as it comes.
    pub fn find(&self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> Result<Frame> {
        lab::wait_until(what, SOON, || {
            let mut frames = self.drain()?.into_iter();
            Ok(frames.find(|frame| wanted(frame)))
        })
    }
}
