//! A packet at TC: an skb, perhaps a super-packet with partial checksums, whose
//! offload state every edit has to keep.

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
        BPF_F_ADJ_ROOM_ENCAP_L4_GRE, BPF_F_ADJ_ROOM_FIXED_GSO, bpf_adj_room_mode,
    },
    helpers::generated::{
        bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_change_type, bpf_skb_pull_data,
        bpf_skb_vlan_pop,
    },
    programs::TcContext,
};
use dataplane_common::{
    abi::upcall::{self, UpcallHeader},
    forward::{Halt, parse::Frame},
    punt::Punt,
    reason::DropReason,
    wire::{
        Wire,
        ether::{self, EthHeader},
        ipv4,
        outer::{self, OuterHeaders},
    },
};

use super::{Packet, read, tags_in, write};

/// Bytes that the programs read at most: outer headers, inner Ethernet, IPv4
/// with options and the part of a TCP header up to its length.
const HEADERS: u32 = (outer::LEN + ether::LEN + 3 * ipv4::LEN + 16) as u32;

/// `ENCAP` marks the inner headers for segmentation offload; `FIXED_GSO` keeps the
/// segment size, without which UDP segmentation is lost.
const ENCAP: u64 = (BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
    | BPF_F_ADJ_ROOM_ENCAP_L4_GRE
    | BPF_F_ADJ_ROOM_ENCAP_L2_ETH
    | BPF_F_ADJ_ROOM_FIXED_GSO) as u64
    | ((ether::LEN as u64) << 56);

/// `PACKET_HOST` of linux/if_packet.h: for the device's own owner.
const PACKET_HOST: u32 = 0;

/// Headers that each segment bears at most: Ethernet, and IPv4 and TCP with all options.
const MOST_HEADERS: u32 = ether::LEN as u32 + 60 + 60;

/// An skb.
pub struct Skb {
    ctx: TcContext,
    ifindex: u32,
}

impl Skb {
    /// The packet of this run, its headers in linear memory.
    #[inline(always)]
    pub fn new(ctx: TcContext) -> Self {
        let want = ctx.len().min(HEADERS);
        if ctx.data() + (want as usize) > ctx.data_end() {
            // SAFETY: the context is the one of this run and no packet pointer is
            // held. When it fails the loads below do.
            unsafe { bpf_skb_pull_data(ctx.skb.skb, want) };
        }
        // SAFETY: the context is valid while the program runs.
        let ifindex = unsafe { (*ctx.skb.skb).ifindex };
        Self { ctx, ifindex }
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
        self.adjust_room(-(upcall::LEN as i32), BPF_F_ADJ_ROOM_FIXED_GSO as u64)
            && self.store(0, eth).is_some()
    }

    #[inline(always)]
    fn skb(&self) -> *mut __sk_buff {
        self.ctx.skb.skb
    }

    #[inline(always)]
    fn adjust_room(&mut self, by: i32, flags: u64) -> bool {
        // SAFETY: the context is the one of this run; packet pointers do not
        // outlive `read` and `write`.
        unsafe {
            bpf_skb_adjust_room(self.skb(), by, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, flags) == 0
        }
    }

    /// `adjust_room` refuses what is not IP; such a frame is never a super-packet.
    #[inline(always)]
    fn make_room(&mut self, ethertype: u16) -> bool {
        if ethertype == ether::IPV4 {
            // An skb that was decapsulated here before is refused with ENCAP (EALREADY).
            // What is no super-packet needs no marks for segmentation.
            self.adjust_room(outer::LEN as i32, ENCAP)
                || (self.gso_size() == 0
                    && self.adjust_room(outer::LEN as i32, BPF_F_ADJ_ROOM_FIXED_GSO as u64))
        } else {
            // SAFETY: as in `adjust_room`.
            unsafe { bpf_skb_change_head(self.skb(), outer::LEN as u32, 0) == 0 }
        }
    }
}

impl Frame for Skb {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.ctx.len()
    }
    #[inline(always)]
    fn gso_size(&self) -> u32 {
        // SAFETY: the context is valid while the program runs.
        unsafe { (*self.skb()).gso_size }
    }
    #[inline(always)]
    fn load<T: Wire>(&self, offset: usize) -> Option<T> {
        read(self.ctx.data(), self.ctx.data_end(), offset)
    }
}

impl Packet for Skb {
    const BEFORE_STACK: bool = false;

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.ifindex
    }
    /// The kernel keeps the first tag beside the frame.
    #[inline(always)]
    fn tags(&self) -> u8 {
        // SAFETY: the context is valid while the program runs.
        let beside = unsafe { (*self.skb()).vlan_present != 0 };
        let inside = tags_in(self);
        if beside && inside < 3 {
            inside + 1
        } else {
            inside
        }
    }
    #[inline(always)]
    fn strip(&mut self, tags: u8) -> Result<bool, DropReason> {
        // SAFETY: as in `adjust_room`; `strip_tags` allows two at most.
        let popped = unsafe {
            bpf_skb_vlan_pop(self.skb()) == 0 && (tags < 2 || bpf_skb_vlan_pop(self.skb()) == 0)
        };
        if popped {
            Ok(true)
        } else {
            Err(DropReason::InnerVlan)
        }
    }
    #[inline(always)]
    fn store<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        write(self.ctx.data(), self.ctx.data_end(), offset, value)
    }
    #[inline(always)]
    fn push_outer(&mut self, outer: &OuterHeaders, inner: EthHeader) -> Result<(), Halt> {
        if !self.make_room(inner.ethertype()) {
            // Only segments can be marked anew: user space gets the super-packet cut.
            return Err(if self.gso_size() == 0 {
                DropReason::EncapFailed.into()
            } else {
                Halt::ask(Punt::Encapsulated, DropReason::EncapFailed)
            });
        }
        self.store(0, *outer).ok_or(DropReason::EncapFailed)?;
        self.store(outer::LEN, inner)
            .ok_or(DropReason::EncapFailed)?;
        Ok(())
    }
    /// To the host's end of a veth the frame was for somebody else, and before
    /// kernel commit c43272299488 `bpf_redirect_peer` left it so.
    #[inline(always)]
    fn turn_inwards(&mut self) {
        // SAFETY: as in `adjust_room`; failure leaves the packet as it was.
        unsafe { bpf_skb_change_type(self.skb(), PACKET_HOST) };
    }
    /// Room is taken away behind the first Ethernet header, which then becomes the inner one.
    #[inline(always)]
    fn pop_outer(&mut self, inner: EthHeader) -> Result<(), DropReason> {
        if !self.adjust_room(-(outer::LEN as i32), BPF_F_ADJ_ROOM_FIXED_GSO as u64) {
            return Err(DropReason::DecapFailed);
        }
        self.store(0, inner).ok_or(DropReason::DecapFailed)
    }
}
