//! A packet at TC: an skb, perhaps a super-packet with partial checksums, whose
//! offload state every edit has to keep.

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6,
        BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
        BPF_F_ADJ_ROOM_ENCAP_L4_GRE, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_RECOMPUTE_CSUM,
        bpf_adj_room_mode,
    },
    helpers::generated::{
        bpf_clone_redirect, bpf_l4_csum_replace, bpf_skb_adjust_room, bpf_skb_change_head,
        bpf_skb_change_proto, bpf_skb_change_type, bpf_skb_pull_data, bpf_skb_store_bytes,
        bpf_skb_vlan_pop, bpf_skb_vlan_push,
    },
    programs::TcContext,
};
use dataplane_common::{
    abi::{
        programs::FLOOD_REMOTE,
        upcall::{self, UpcallHeader},
    },
    forward::{
        Halt,
        parse::{Frame, Headers},
    },
    punt::Punt,
    reason::DropReason,
    wire::{
        Wire,
        ether::{self, EthHeader},
        icmp, ipv6,
        outer::{OuterHeaders, OverV6, Tunnelled},
    },
};

use super::{Packet, read, summed, tags_in, write};
use crate::{edit, flood::Progress, maps::PROGS, scan};

/// Bytes that the programs read as a rule: outer headers, inner Ethernet, IP with options or
/// extension headers, and a TCP header with options or a neighbour message.
const HEADERS: u32 =
    (size_of::<OverV6>() + ether::LEN + ipv6::LEN + 64 + 60 + icmp::OPTION_LEN) as u32;

/// Keeps the segment size, without which UDP segmentation is lost.
const FIXED: u64 = BPF_F_ADJ_ROOM_FIXED_GSO as u64;

/// Marks the inner headers for segmentation offload.
const fn encap_flags(v6: bool) -> u64 {
    let outer = if v6 {
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV6
    } else {
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
    };
    (outer | BPF_F_ADJ_ROOM_ENCAP_L4_GRE | BPF_F_ADJ_ROOM_ENCAP_L2_ETH) as u64
        | FIXED
        | ((ether::LEN as u64) << 56)
}

/// `PACKET_HOST` of linux/if_packet.h: for the device's own owner.
const PACKET_HOST: u32 = 0;

/// Headers that each segment bears at most: Ethernet, and IP and TCP with all options.
const MOST_HEADERS: u32 = ether::LEN as u32 + 60 + 60;

/// The first VLAN tag of a frame.
#[derive(Clone, Copy)]
pub struct Tag {
    /// Its `EtherType`; 0: there is none.
    protocol: u16,
    /// Priority and VLAN id.
    control: u16,
    /// It stands in the frame's bytes, not beside them.
    pub inside: bool,
}

impl Tag {
    /// The tag of a VLAN, without priority.
    #[inline(always)]
    pub const fn vlan(id: u16) -> Self {
        Self {
            protocol: ether::VLAN,
            control: id,
            inside: false,
        }
    }

    /// The VLAN's id; 0 where it is no 802.1Q tag.
    #[inline(always)]
    pub const fn id(&self) -> u16 {
        if self.protocol == ether::VLAN {
            self.control & 0x0FFF
        } else {
            0
        }
    }
}

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

    /// The first tag.
    #[inline(always)]
    pub fn tag(&self) -> Tag {
        const ETHERTYPE: usize = 12;
        // SAFETY: the context is valid while the program runs.
        let (beside, protocol, control) = unsafe {
            let skb = self.skb();
            ((*skb).vlan_present != 0, (*skb).vlan_proto, (*skb).vlan_tci)
        };
        if beside {
            return Tag {
                protocol: u16::from_be(protocol as u16),
                control: control as u16,
                inside: false,
            };
        }
        let [a, b, c, d]: [u8; 4] = self.load(ETHERTYPE).unwrap_or_default();
        let protocol = u16::from_be_bytes([a, b]);
        let inside = ether::is_tag(protocol);
        Tag {
            protocol: if inside { protocol } else { 0 },
            control: u16::from_be_bytes([c, d]),
            inside,
        }
    }

    /// Removes the first tag. `false`: it cannot be.
    #[inline(always)]
    pub fn pop_tag(&mut self) -> bool {
        // SAFETY: as in `adjust_room`.
        unsafe { bpf_skb_vlan_pop(self.skb()) == 0 }
    }

    /// Puts a tag in front. `false`: it cannot be.
    #[inline(always)]
    pub fn push_tag(&mut self, tag: Tag) -> bool {
        let Tag {
            protocol, control, ..
        } = tag;
        // SAFETY: as in `adjust_room`.
        unsafe { bpf_skb_vlan_push(self.skb(), protocol.to_be(), control) == 0 }
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
    fn make_room(&mut self, ethertype: u16, len: u32, v6: bool) -> bool {
        if ethertype == ether::IPV4 || ethertype == ether::IPV6 {
            // An skb that was decapsulated here before is refused with ENCAP (EALREADY).
            // What is no super-packet needs no marks for segmentation.
            self.adjust_room(len as i32, encap_flags(v6))
                || (self.gso_size() == 0 && self.adjust_room(len as i32, FIXED))
        } else {
            // SAFETY: as in `adjust_room`.
            unsafe { bpf_skb_change_head(self.skb(), len, 0) == 0 }
        }
    }

    /// Takes `len` bytes away behind the Ethernet header, where the packet was of the other family.
    #[inline(always)]
    fn cut_other_family(&mut self, len: i32, inner: u16) -> bool {
        let decap = if inner == ether::IPV6 {
            BPF_F_ADJ_ROOM_DECAP_L3_IPV6
        } else {
            BPF_F_ADJ_ROOM_DECAP_L3_IPV4
        };
        if self.adjust_room(-len, decap as u64 | FIXED) {
            self.protocol = if inner == ether::IPV6 {
                ether::IPV6
            } else {
                ether::IPV4
            };
            return true;
        }
        // Before kernel commit 1ee6bf1b (6.3) there are no such flags.
        if self.adjust_room(-len, FIXED) {
            return true;
        }
        // And a packet shorter than an IPv6 header cannot be what is left of an IPv6 packet: it is
        // made an IPv4 packet first, which takes away the difference of the headers.
        const DIFFERENCE: i32 = 20;
        // SAFETY: as in `adjust_room`.
        let v4 = unsafe { bpf_skb_change_proto(self.skb(), ether::IPV4.to_be(), 0) == 0 };
        self.protocol = ether::IPV4;
        v4 && self.adjust_room(DIFFERENCE - len, FIXED)
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
    fn scan<'k>(&self, offset: usize) -> Result<&'k Headers, DropReason> {
        scan::kept(scan_skb(self.skb(), offset as u32))
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
        let outer = O::new(outer);
        self.store(0, outer).ok_or(DropReason::EncapFailed)?;
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
