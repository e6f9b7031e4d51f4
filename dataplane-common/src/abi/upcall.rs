//! What stands in front of a frame between programs and user space: 16 bytes, laid out as an
//! Ethernet header and two more bytes, so that a veth pair carries it.

use crate::wire::{Wire, ether};

/// Uplinks that may have sockets.
pub const UPLINKS_LEN: u32 = 16;
/// Queues of an uplink that may have sockets; the others leave their punts to the upcall pair.
pub const QUEUES: u32 = 64;
/// Place in `XSKS` of the upcall pair's socket; an uplink's queues begin at a later multiple of
/// [`QUEUES`].
pub const PAIR: u32 = 0;
/// Entries of `XSKS`.
pub const XSKS_LEN: u32 = UPLINKS_LEN * QUEUES;

/// MTU of the upcall pair: what XDP takes on a veth with pages of 4 KiB, less some bytes. Larger
/// packets cannot go to user space.
pub const PAIR_MTU: u16 = 3456;

/// Bytes in front of the frame.
pub const LEN: usize = 16;

/// The largest frame that the upcall pair carries behind an upcall header.
pub const MOST_FRAME: u32 = PAIR_MTU as u32 + ether::LEN as u32 - LEN as u32;

/// What the receiver does with the frame. The numbers are ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Task {
    /// To user space: see what [`UpcallHeader::punt`] says.
    Handle = 1,
    /// From user space: forward it as if the port had sent it.
    Egress = 2,
    /// From user space: forward it as if the uplink had received it.
    Ingress = 3,
    /// From user space: hand it to the port as it is.
    Deliver = 4,
    /// From user space, a copy of a broadcast: encapsulate it as if the port had sent it, to the PA
    /// whose index stands in place of the device. The slot's place has the port's device.
    Encap = 5,
    /// From user space, a copy of a broadcast: hand it to the port as it is.
    Replica = 6,
}

impl Task {
    /// The task of a number.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Handle),
            2 => Some(Self::Egress),
            3 => Some(Self::Ingress),
            4 => Some(Self::Deliver),
            5 => Some(Self::Encap),
            6 => Some(Self::Replica),
            _ => None,
        }
    }
}

/// The 16 bytes.
///
/// The first six are a locally administered unicast MAC, so that the veth's stack takes the frame
/// for a neighbour's. The EtherType is IPv4's whatever the frame is: `bpf_skb_adjust_room` removes
/// the header from nothing else.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpcallHeader {
    mark: u8,
    task: u8,
    ifindex: [u8; 4],
    source: u8,
    punt: u8,
    slot: [u8; 4],
    ethertype: [u8; 2],
    gso_size: [u8; 2],
}

const _: () = assert!(size_of::<UpcallHeader>() == LEN);
// SAFETY: `repr(C)` of bytes and byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for UpcallHeader {}

impl UpcallHeader {
    const MARK: u8 = 0x02;

    /// A header. `ifindex`: the port or uplink; `slot`: the port's, 0 for an uplink;
    /// `punt`: a [`crate::punt::Punt`]'s number, 0 when there is none.
    #[inline(always)]
    pub const fn new(task: Task, ifindex: u32, slot: u32, punt: u32) -> Self {
        Self {
            mark: Self::MARK,
            task: task as u8,
            ifindex: ifindex.to_be_bytes(),
            source: Self::MARK,
            punt: punt as u8,
            slot: slot.to_be_bytes(),
            ethertype: ether::IPV4.to_be_bytes(),
            gso_size: [0; 2],
        }
    }

    /// The same, of a packet that was a super-packet: `gso_size` payload bytes in each segment.
    #[must_use]
    #[inline(always)]
    pub const fn segmented(self, gso_size: u32) -> Self {
        Self {
            gso_size: (gso_size as u16).to_be_bytes(),
            ..self
        }
    }

    /// The header as it stands in front of a frame.
    pub const fn to_bytes(self) -> [u8; LEN] {
        let Self {
            mark,
            task,
            ifindex: [i0, i1, i2, i3],
            source,
            punt,
            slot: [s0, s1, s2, s3],
            ethertype: [e0, e1],
            gso_size: [g0, g1],
        } = self;
        [
            mark, task, i0, i1, i2, i3, source, punt, s0, s1, s2, s3, e0, e1, g0, g1,
        ]
    }

    /// What to do; `None`: no header of ours.
    #[inline(always)]
    pub const fn task(&self) -> Option<Task> {
        if self.mark == Self::MARK && self.source == Self::MARK {
            Task::from_number(self.task)
        } else {
            None
        }
    }

    /// The port or uplink.
    #[inline(always)]
    pub const fn ifindex(&self) -> u32 {
        u32::from_be_bytes(self.ifindex)
    }

    /// The port's slot; 0 for an uplink.
    #[inline(always)]
    pub const fn slot(&self) -> u32 {
        u32::from_be_bytes(self.slot)
    }

    /// Number of the [`crate::punt::Punt`].
    #[inline(always)]
    pub const fn punt(&self) -> u32 {
        self.punt as u32
    }

    /// Payload bytes of each segment if the packet was a super-packet; else 0.
    #[inline(always)]
    pub const fn gso_size(&self) -> u16 {
        u16::from_be_bytes(self.gso_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::punt::Punt;

    #[test]
    fn what_goes_in_comes_out() {
        let header = UpcallHeader::new(Task::Handle, 77, 1023, Punt::Oversize.number());
        let header = header.segmented(1400);
        assert_eq!(header.task(), Some(Task::Handle));
        assert_eq!((header.ifindex(), header.slot()), (77, 1023));
        assert_eq!(Punt::from_number(header.punt()), Some(Punt::Oversize));
        assert_eq!(header.gso_size(), 1400);
    }

    #[test]
    fn a_frame_of_somebody_else_is_no_upcall() {
        let header = UpcallHeader {
            mark: 0x33,
            ..UpcallHeader::new(Task::Deliver, 1, 1, 0)
        };
        assert_eq!(header.task(), None);
        let header = UpcallHeader {
            task: 9,
            ..UpcallHeader::new(Task::Deliver, 1, 1, 0)
        };
        assert_eq!(header.task(), None);
    }
}
