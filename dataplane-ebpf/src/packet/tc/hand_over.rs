//! Packets that one program leaves to another, and that user space gets behind a header.

use aya_ebpf::{helpers::generated::bpf_skb_change_head, programs::TcContext};
use dataplane_common::{
    abi::{
        programs::FLOOD_REMOTE,
        upcall::{self, UpcallHeader},
    },
    forward::parse::Frame as _,
    wire::ether::{self, EthHeader},
};

use super::{Skb, room::FIXED};
use crate::{flood::Progress, maps::PROGS, packet::Packet as _};

/// Headers that each segment bears at most: Ethernet, and IP and TCP with all options.
const MOST_HEADERS: u32 = ether::LEN as u32 + 60 + 60;

impl Skb {
    /// The packet of a program that goes on where another stopped: see [`Self::go_on`].
    #[inline(always)]
    pub fn continued(ctx: TcContext) -> Self {
        let mut skb = Self::new(ctx);
        // SAFETY: the context is valid while the program runs; the program before wrote the field.
        skb.ifindex = unsafe { (*skb.skb()).cb[0] };
        skb
    }

    /// Goes on in another program, which gets to know the device; returns if there is none.
    #[inline(always)]
    pub fn go_on(&self, program: u32) {
        self.go_on_with(program, 0);
    }

    /// So, and the other program finds a word in [`Self::word`].
    #[inline(always)]
    pub fn go_on_with(&self, program: u32, word: u32) {
        // SAFETY: `cb` is the programs' own while the packet is at TC.
        unsafe { (*self.skb()).cb[0] = self.ifindex };
        // SAFETY: as above.
        unsafe { (*self.skb()).cb[1] = word };
        // SAFETY: the entries of the map are programs of this type.
        unsafe { PROGS.tail_call(&self.ctx, program) };
    }

    /// Goes on in the program that makes the next copy; returns if there is none.
    #[inline(always)]
    pub fn go_on_copying(&self, progress: Progress) {
        // SAFETY: `cb` is the programs' own while the packet is at TC.
        unsafe { (*self.skb()).cb[2] = progress.outer };
        self.go_on_with(FLOOD_REMOTE, progress.number);
    }

    /// How far the program before was.
    #[inline(always)]
    pub fn progress(&self) -> Progress {
        // SAFETY: the context is valid while the program runs; the program before wrote the fields.
        let outer = unsafe { (*self.skb()).cb[2] };
        let number = self.word();
        Progress { number, outer }
    }

    /// What the program before had to say: see [`Self::go_on_with`].
    #[inline(always)]
    pub fn word(&self) -> u32 {
        // SAFETY: the context is valid while the program runs.
        unsafe { (*self.skb()).cb[1] }
    }

    /// Puts an upcall header in front of the whole frame. `false`: there is no room, or the upcall
    /// pair would not carry it.
    #[inline(always)]
    pub fn wrap(&mut self, header: UpcallHeader) -> bool {
        let gso_size = self.gso_size();
        let largest = if gso_size == 0 {
            self.len()
        } else {
            gso_size + MOST_HEADERS
        };
        if largest > upcall::MOST_FRAME {
            return false;
        }
        let header = header.segmented(gso_size);
        // SAFETY: as in `adjust_room`. Unlike it, this leaves the offsets of the inner headers
        // as they are, by which the kernel segments and completes checksums.
        let room = unsafe { bpf_skb_change_head(self.skb(), upcall::LEN as u32, 0) == 0 };
        room && self.store(0, header).is_some()
    }

    /// Removes the upcall header; from here on the frame came from `ifindex`. `false`: it cannot be.
    #[inline(always)]
    pub fn unwrap(&mut self, ifindex: u32) -> bool {
        let Some(eth) = self.load::<EthHeader>(upcall::LEN) else {
            return false;
        };
        self.ifindex = ifindex;
        self.protocol = ether::IPV4;
        self.adjust_room(-(upcall::LEN as i32), FIXED) && self.store(0, eth).is_some()
    }
}
