//! A packet at TC: an skb, perhaps a super-packet with partial checksums, whose
//! offload state every edit has to keep.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, BPF_F_RECOMPUTE_CSUM},
    helpers::generated::{
        bpf_clone_redirect, bpf_l4_csum_replace, bpf_skb_change_type, bpf_skb_pull_data,
        bpf_skb_store_bytes, bpf_skb_vlan_pop,
    },
    programs::TcContext,
};
use dataplane_common::{
    abi::vport::Vport,
    forward::{
        Halt,
        parse::{Frame, Headers},
    },
    punt::Punt,
    reason::DropReason,
    wire::{
        Wire,
        checksum::Delta,
        ether::{self, EthHeader},
        icmp, ipv6,
        outer::{OuterHeaders, OverV6, Tunnelled},
    },
};

use super::{Packet, read, read_to, summed, tags_in, write};
use crate::{edit, rewrite, scan};

mod hand_over;
mod room;
mod tag;

pub use tag::Tag;

use room::FIXED;

/// Bytes that the programs read as a rule: outer headers, inner Ethernet, IP with options or
/// extension headers, and a TCP header with options or a neighbour message.
const HEADERS: u32 =
    (size_of::<OverV6>() + ether::LEN + ipv6::LEN + 64 + 60 + icmp::OPTION_LEN) as u32;

/// `PACKET_HOST` of linux/if_packet.h: for the device's own owner.
const PACKET_HOST: u32 = 0;

/// An skb.
pub struct Skb {
    ctx: TcContext,
    ifindex: u32,
    /// `EtherType` that the kernel takes the frame's packet for.
    protocol: u16,
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
        let (ifindex, protocol) = unsafe { ((*ctx.skb.skb).ifindex, (*ctx.skb.skb).protocol) };
        Self {
            ctx,
            ifindex,
            protocol: u16::from_be(protocol as u16),
        }
    }

    /// The packet of this run, for a function that reads and writes and nothing else.
    #[inline(always)]
    fn bare(skb: *mut __sk_buff) -> Self {
        Self {
            ctx: TcContext::new(skb),
            ifindex: 0,
            protocol: 0,
        }
    }

    #[inline(always)]
    fn skb(&self) -> *mut __sk_buff {
        self.ctx.skb.skb
    }
}

/// See [`scan`]. The context is this run's.
#[inline(never)]
fn scan_skb(skb: *mut __sk_buff, offset: u32) -> u32 {
    scan::write(&Skb::bare(skb), offset)
}

/// A function of its own, with a stack of its own. The context is this run's.
#[inline(never)]
fn clamp_skb(skb: *mut __sk_buff, l4: u32, most: u32) {
    edit::clamp(&mut Skb::bare(skb), l4, most);
}

/// A function of its own, with a stack of its own. The context is this run's.
#[inline(never)]
fn readdress_skb(skb: *mut __sk_buff) -> u32 {
    scan::tell(rewrite::readdress(&mut Skb::bare(skb)))
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
    #[inline(always)]
    fn load_to<T: Wire>(&self, offset: usize, to: &mut T) -> Option<()> {
        read_to(self.ctx.data(), self.ctx.data_end(), offset, to)
    }
}

impl Packet for Skb {
    const BEFORE_STACK: bool = false;

    #[inline(always)]
    fn scan<'k>(&self, offset: usize) -> Result<&'k Headers, DropReason> {
        scan::kept(scan_skb(self.skb(), offset as u32))
    }

    #[inline(always)]
    fn decide(&self, port: &Vport) -> u32 {
        scan::judge(scan_skb(self.skb(), 0), port)
    }

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
    fn rewrite<T: Wire>(&mut self, offset: usize, value: T) -> Option<()> {
        let flags = BPF_F_RECOMPUTE_CSUM as u64;
        let bytes = (&raw const value).cast();
        let len = size_of::<T>() as u32;
        // SAFETY: the context is the one of this run; the helper reads `len` bytes of `value`, all of
        // which a `Wire` has written.
        let stored = unsafe { bpf_skb_store_bytes(self.skb(), offset as u32, bytes, len, flags) };
        (stored == 0).then_some(())
    }
    /// The kernel knows whether the checksum is complete or only begun.
    #[inline(always)]
    fn replace(&mut self, check: usize, offset: usize, old: [u8; 2], new: [u8; 2]) -> bool {
        let [from, to] = [old, new].map(|bytes| summed(check, offset, bytes));
        let [from, to] = [from, to].map(|word| u64::from(u16::from_ne_bytes(word)));
        // SAFETY: as in `adjust_room`; the low bits of the flags are the words' size.
        let updated = unsafe { bpf_l4_csum_replace(self.skb(), check as u32, from, to, 2) == 0 };
        updated && self.store(offset, new).is_some()
    }
    /// The kernel knows whether the checksum is complete or only begun.
    #[inline(always)]
    fn resum(&mut self, at: usize, change: Delta, optional: bool) -> Option<()> {
        let mangled = if optional { BPF_F_MARK_MANGLED_0 } else { 0 };
        let flags = u64::from(BPF_F_PSEUDO_HDR | mangled);
        let change = u64::from(change.get());
        // SAFETY: as in `adjust_room`; size 0 in the flags says that `change` is a difference.
        let done = unsafe { bpf_l4_csum_replace(self.skb(), at as u32, 0, change, flags) };
        (done == 0).then_some(())
    }
    const REQUOTES: bool = true;
    #[inline(always)]
    fn readdress(&mut self) -> Result<(), DropReason> {
        scan::told(readdress_skb(self.skb()))
    }
    #[inline(always)]
    fn clamp(&mut self, l4: u32, most: u32) {
        clamp_skb(self.skb(), l4, most);
    }
    #[inline(always)]
    fn push_outer<O: OuterHeaders>(
        &mut self,
        outer: &Tunnelled,
        inner: EthHeader,
    ) -> Result<(), Halt> {
        if !self.make_room(inner.ethertype(), O::LEN as u32, O::V6) {
            // Only segments can be marked anew: user space gets the super-packet cut.
            return Err(if self.gso_size() == 0 {
                DropReason::EncapFailed.into()
            } else {
                Halt::ask(Punt::Encapsulated, DropReason::EncapFailed)
            });
        }
        self.store_outer::<O>(outer)
            .ok_or(DropReason::EncapFailed)?;
        self.store(O::LEN, inner).ok_or(DropReason::EncapFailed)?;
        Ok(())
    }
    #[inline(always)]
    fn copy_to(&mut self, ifindex: u32) -> bool {
        // SAFETY: as in `adjust_room`.
        unsafe { bpf_clone_redirect(self.skb(), ifindex, 0) == 0 }
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
    fn pop_outer<O: OuterHeaders>(&mut self, inner: EthHeader) -> Result<(), DropReason> {
        let len = O::LEN as i32;
        let same_family = O::V6 == (inner.ethertype() == ether::IPV6);
        let cut = if same_family {
            self.adjust_room(-len, FIXED)
        } else {
            self.cut_other_family(len, inner.ethertype())
        };
        if !cut {
            return Err(DropReason::DecapFailed);
        }
        self.store(0, inner).ok_or(DropReason::DecapFailed)
    }
    #[inline(always)]
    fn may_peer(&self, eth: &EthHeader) -> bool {
        self.protocol == eth.ethertype()
    }
}
