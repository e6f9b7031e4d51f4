//! VLAN tags of frames at TC, where the kernel keeps the first one beside the frame.

use aya_ebpf::helpers::generated::{bpf_skb_vlan_pop, bpf_skb_vlan_push};
use dataplane_common::{forward::parse::Frame as _, wire::ether};

use super::Skb;

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

impl Skb {
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
}
