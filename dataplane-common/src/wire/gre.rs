//! The GRE header of NVGRE (RFC 7637, section 3.2).

use super::Wire;
use crate::id::Vsid;

/// Bytes of an NVGRE header: flags and version, protocol type, key.
pub const LEN: usize = 8;
/// The first 16 bits: K set; C, S, the reserved bits and the version zero.
pub const FLAGS: u16 = 0x2000;
/// Protocol type: transparent Ethernet bridging.
pub const PROTOCOL: u16 = 0x6558;

/// An NVGRE header, or whatever stands in its place.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GreHeader {
    flags: [u8; 2],
    protocol: [u8; 2],
    key: [u8; 4],
}

const _: () = assert!(size_of::<GreHeader>() == LEN);
// SAFETY: `repr(C)` of byte arrays: alignment one, no padding, any pattern valid.
unsafe impl Wire for GreHeader {}

impl GreHeader {
    /// The header of a packet in virtual subnet `vsid`.
    #[inline(always)]
    pub const fn nvgre(vsid: u32, flow_id: u8) -> Self {
        let [_, a, b, c] = vsid.to_be_bytes();
        Self {
            flags: FLAGS.to_be_bytes(),
            protocol: PROTOCOL.to_be_bytes(),
            key: [a, b, c, flow_id],
        }
    }

    /// A header of which only the first four bytes are known.
    #[inline(always)]
    pub const fn from_word(word: [u8; 4]) -> Self {
        let [a, b, c, d] = word;
        Self {
            flags: [a, b],
            protocol: [c, d],
            key: [0; 4],
        }
    }

    /// Flags and version, host order.
    #[inline(always)]
    pub const fn flags(&self) -> u16 {
        u16::from_be_bytes(self.flags)
    }

    /// Protocol type, host order.
    #[inline(always)]
    pub const fn protocol(&self) -> u16 {
        u16::from_be_bytes(self.protocol)
    }

    /// The upper 24 bits of the key; any value, reserved ones included.
    #[inline(always)]
    pub const fn vsid_bits(&self) -> u32 {
        let [a, b, c, _] = self.key;
        u32::from_be_bytes([0, a, b, c])
    }

    /// The VSID, `None` when it is a reserved one.
    pub const fn vsid(&self) -> Option<Vsid> {
        Vsid::new(self.vsid_bits())
    }

    /// The lower 8 bits of the key.
    #[inline(always)]
    pub const fn flow_id(&self) -> u8 {
        let [_, _, _, flow_id] = self.key;
        flow_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_vsid_then_flow_id() {
        let header = GreHeader::nvgre(0x00AB_CDEF, 0x42);
        assert_eq!(header.flags, [0x20, 0x00]);
        assert_eq!(header.protocol, [0x65, 0x58]);
        assert_eq!(header.key, [0xAB, 0xCD, 0xEF, 0x42]);
        assert_eq!(header.vsid_bits(), 0x00AB_CDEF);
        assert_eq!(header.flow_id(), 0x42);
    }

    #[test]
    fn reserved_vsids_do_not_parse() {
        for vsid in [0, 0xFFF, 0x00FF_FFFF] {
            assert_eq!(GreHeader::nvgre(vsid, 0).vsid(), None);
        }
    }
}
