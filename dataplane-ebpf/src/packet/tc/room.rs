//! Room in front of a packet: made for outer headers, and taken away with them.

use aya_ebpf::{
    bindings::{
        BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L2_ETH,
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
        BPF_F_ADJ_ROOM_FIXED_GSO, bpf_adj_room_mode,
    },
    helpers::generated::{
        bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_change_proto, bpf_skb_change_tail,
    },
};
use dataplane_common::{forward::parse::Frame as _, wire::ether};

use super::Skb;

/// Keeps the segment size, without which UDP segmentation is lost.
pub(super) const FIXED: u64 = BPF_F_ADJ_ROOM_FIXED_GSO as u64;

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

impl Skb {
    #[inline(always)]
    pub(super) fn adjust_room(&mut self, by: i32, flags: u64) -> bool {
        // SAFETY: the context is the one of this run; packet pointers do not
        // outlive `read` and `write`.
        unsafe {
            bpf_skb_adjust_room(self.skb(), by, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, flags) == 0
        }
    }

    /// Makes the frame this long; what is new at its end is zero. `false`: it cannot be.
    #[inline(always)]
    pub fn set_len(&mut self, len: u32) -> bool {
        // SAFETY: as in `adjust_room`.
        unsafe { bpf_skb_change_tail(self.skb(), len, 0) == 0 }
    }

    /// `adjust_room` refuses what is not IP; such a frame is never a super-packet.
    #[inline(always)]
    pub(super) fn make_room(&mut self, ethertype: u16, len: u32, v6: bool) -> bool {
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
    pub(super) fn cut_other_family(&mut self, len: i32, inner: u16) -> bool {
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
