//! `AF_XDP` sockets: frames in and out of one queue of one device.

use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use super::channel::{Account, Channel, Mode};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send, sockopt::xdp_options, xdp::XdpOptionsFlags},
};
use xdp::{
    CompletionRing, RingConfigBuilder, RxRing, Umem, WakableFillRing, WakableTxRing,
    nic::NicIndex,
    slab::{HeapSlab, Slab as _},
    socket::{SocketError, XdpSocket, XdpSocketBuilder},
    umem::{FrameSize, UmemCfgBuilder},
};

/// Frames of the memory that a socket and the kernel share, 4 KiB each.
const FRAMES: u32 = 2048;
/// Of these, those that the kernel has to receive into; the rest is for sending.
const TO_FILL: usize = 1024;
const RING: u32 = 1024;
const BATCH: usize = 64;
/// In copy mode the kernel sends 32 frames each time that it is woken, and says `EAGAIN` when there
/// are more (`xsk_generic_xmit`, `TX_BATCH_SIZE`): so often suffices for a full ring.
const KICKS: u32 = RING / 32;
/// A ring in which nothing moves for so long is stuck.
const STALLED: Duration = Duration::from_secs(1);

/// A socket. The order of the fields is the order in which they go: the kernel lets go of the rings
/// and of the memory with the socket, so that goes first, and the memory last.
pub struct Xsk {
    socket: XdpSocket,
    rx: RxRing,
    tx: WakableTxRing,
    fill: WakableFillRing,
    completion: CompletionRing,
    received: HeapSlab,
    outgoing: HeapSlab,
    receiving: usize,
    sending: usize,
    /// When the kernel last gave a sent frame back, or had none to send.
    moved: Instant,
    mode: Mode,
    umem: Umem,
}

// SAFETY: the pointers inside are to mappings that belong to this value alone, and all methods that
// use them take `&mut self` or only read counts.
unsafe impl Send for Xsk {}

impl Xsk {
    /// How frames come.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// A socket on a queue. With `zero_copy` the kernel takes the driver's own memory where the
    /// driver can, and copies where not. Asked for one and then for the other, it would charge the
    /// memory of both to the limit on locked memory, as it lets go of the first a little later.
    pub fn open(ifindex: u32, queue: u32, zero_copy: bool) -> io::Result<Self> {
        let memory = UmemCfgBuilder {
            frame_size: FrameSize::FourK,
            frame_count: FRAMES,
            ..UmemCfgBuilder::default()
        };
        let umem = Umem::map(memory.build().map_err(io::Error::other)?)?;
        let rings = RingConfigBuilder {
            rx_count: RING,
            tx_count: RING,
            fill_count: RING,
            completion_count: RING,
        };
        let rings = rings.build().map_err(io::Error::other)?;
        let mut builder = XdpSocketBuilder::new().map_err(io::Error::other)?;
        let made = builder.build_wakable_rings(&umem, rings);
        let (rings, mut flags) = made.map_err(io::Error::other)?;
        if !zero_copy {
            flags.force_copy();
        }
        let socket = builder.bind(NicIndex::new(ifindex), queue, flags);
        let socket = socket.map_err(|error| explained(&bind_error(error)))?;
        let mode = mode_of(&socket)?;
        let absent = || io::Error::other("the socket has no ring");
        let mut xsk = Self {
            socket,
            rx: rings.rx_ring.ok_or_else(absent)?,
            tx: rings.tx_ring.ok_or_else(absent)?,
            fill: rings.fill_ring,
            completion: rings.completion_ring,
            received: HeapSlab::with_capacity(BATCH),
            outgoing: HeapSlab::with_capacity(FRAMES as usize),
            receiving: 0,
            sending: 0,
            moved: Instant::now(),
            mode,
            umem,
        };
        xsk.fill_up()?;
        Ok(xsk)
    }

    /// Gives the kernel frames to receive into, and wakes it for them. It is woken each time, too
    /// when there are none to give: a socket whose device went says so by nothing else, not by `poll`.
    fn fill_up(&mut self) -> io::Result<()> {
        let short = TO_FILL.saturating_sub(self.receiving);
        // SAFETY: the memory is a field of the same value and goes after the socket.
        self.receiving += unsafe { self.fill.enqueue(&mut self.umem, short, false) }?;
        let woken = recv(self.descriptor(), &mut [0; 0][..], RecvFlags::DONTWAIT);
        settled(woken.map(drop))
    }

    /// The socket itself.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket owns the descriptor and is borrowed as long as this is.
        unsafe { BorrowedFd::borrow_raw(self.socket.raw_fd()) }
    }

    /// Gives waiting frames to the kernel as far as its ring has room, and wakes it.
    fn push_out(&mut self) -> io::Result<()> {
        let mut done = 0;
        for _ in 0..KICKS {
            if self.sending == 0 && self.outgoing.is_empty() {
                break;
            }
            // SAFETY: as in `fill_up`.
            let queued = unsafe { self.tx.send(&mut self.outgoing, false) }?;
            self.sending += queued;
            let woken = send(self.descriptor(), &[], SendFlags::DONTWAIT);
            let more = woken == Err(Errno::AGAIN);
            settled(woken.map(drop))?;
            let back = self.completion.dequeue(&mut self.umem, RING as usize);
            self.sending -= back;
            done += back;
            if !more {
                break;
            }
        }
        if done > 0 || self.sending == 0 {
            self.moved = Instant::now();
        } else if self.moved.elapsed() > STALLED {
            let why = "the kernel sent nothing for a second";
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        Ok(())
    }
}

impl Channel for Xsk {
    fn receive(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        // SAFETY: as in `fill_up`; no packet leaves this function.
        let count = unsafe { self.rx.recv(&self.umem, &mut self.received) };
        self.receiving -= count;
        while let Some(packet) = self.received.pop_back() {
            each(&packet);
            self.umem.free_packet(packet);
        }
        count
    }

    fn send(&mut self, parts: &[&[u8]]) -> bool {
        if self.outgoing.available() == 0 {
            return false;
        }
        // SAFETY: as in `receive`.
        let Some(mut packet) = (unsafe { self.umem.alloc() }) else {
            return false;
        };
        let whole = parts.iter().all(|part| packet.append(part).is_ok());
        if !whole {
            self.umem.free_packet(packet);
            return false;
        }
        self.outgoing.push_front(packet).is_none()
    }

    fn turn(&mut self) -> io::Result<()> {
        self.push_out()?;
        self.fill_up()
    }

    fn wait(&self, other: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
        let own = self.descriptor();
        let mut asked = [
            PollFd::from_borrowed_fd(own, PollFlags::IN),
            PollFd::from_borrowed_fd(other, PollFlags::IN),
        ];
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        match poll(&mut asked, Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn refused(&self) -> u64 {
        // Not to know is not to lose: the next look tells.
        let told = self.socket.statistics();
        told.map_or(0, |told| told.rx_dropped + told.rx_ring_full)
    }

    fn account(&self) -> Account {
        Account {
            all: self.umem.capacity(),
            free: self.umem.allocatable(),
            receiving: self.receiving,
            sending: self.sending + self.outgoing.len(),
        }
    }
}

fn mode_of(socket: &XdpSocket) -> io::Result<Mode> {
    // SAFETY: the socket owns the descriptor and is borrowed as long as this is.
    let descriptor = unsafe { BorrowedFd::borrow_raw(socket.raw_fd()) };
    let options = xdp_options(descriptor)?;
    Ok(if options.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY) {
        Mode::ZeroCopy
    } else {
        Mode::Copy
    })
}

/// The kernel is busy with this socket, or its device is down for now: what is in the rings stays.
fn settled(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The same kind with what it means, and what to do.
fn explained(error: &io::Error) -> io::Error {
    let advice = match error.raw_os_error() {
        Some(libc::EBUSY) => "another program has a socket on this queue; end it",
        Some(libc::ENETDOWN) => "the device is down; bring it up",
        Some(libc::ENODEV) => "the device is gone",
        Some(libc::ENOBUFS | libc::ENOMEM) => {
            "no locked memory is left for it; set `ulimit -l unlimited` (systemd: LimitMEMLOCK=infinity)"
        }
        Some(libc::EPERM) => "nved lacks CAP_NET_RAW",
        _ => return io::Error::other(error.to_string()),
    };
    io::Error::new(error.kind(), format!("{advice} ({error})"))
}

fn bind_error(error: SocketError) -> io::Error {
    if let SocketError::Bind(inner) = error {
        return inner;
    }
    io::Error::other(error)
}
