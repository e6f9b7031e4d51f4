//! `ROUTES`: destination -> next hop, for CAs that have no lookup record of their own (a trie).
//!
//! The controller follows a customer route's next hop to its lookup record, so that a packet needs
//! one look-up. What is on link stands here too: a CA in a subnet's prefix that has no record does
//! not exist, whatever shorter prefixes say.

use super::pod;
use crate::id::Address;

/// Key of `ROUTES` without its prefix length: scope and family in network order, and an address.
///
/// The family stands in the scope because an IPv4 address in its 16-byte form would match `::/0`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    scope: [u8; 4],
    /// The prefix, or the CA that is looked up.
    pub ca: Address,
}

const _: () = assert!(size_of::<RouteKey>() == 20);

impl RouteKey {
    /// Bits of the key.
    pub const BITS: u32 = 32 + 128;

    const V4: u32 = 1 << 30;

    /// A key. `scope`: [`of_domain`] or [`of_subnet`].
    #[inline(always)]
    pub const fn new(scope: u32, ca: Address) -> Self {
        let family = if ca.is_v4() { Self::V4 } else { 0 };
        let scope = (scope | family).to_be_bytes();
        Self { scope, ca }
    }

    /// Bits of the trie's key that a prefix of so many bits of the address covers; `v4`: of its IPv4
    /// form.
    pub const fn prefix_bits(v4: bool, bits: u8) -> u32 {
        let before: u32 = if v4 { 32 + 96 } else { 32 };
        before.wrapping_add(bits as u32)
    }
}

/// The routes of a routing domain with a distributed router, which any of its subnets uses.
/// `rdid`: its index on this host, below 2^30.
#[inline(always)]
pub const fn of_domain(rdid: u32) -> u32 {
    rdid
}

/// The routes of a subnet whose packets leave it by an external router.
#[inline(always)]
pub const fn of_subnet(vsid: u32) -> u32 {
    vsid | 0x8000_0000
}

pod!(RouteKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_domains_and_subnets_differ_in_the_first_bit() {
        for number in [0, 1, 0x00FF_FFFE] {
            let (domain, subnet) = (of_domain(number), of_subnet(number));
            assert_ne!(domain, subnet);
            let key = |scope| RouteKey::new(scope, Address::UNSPECIFIED);
            assert_ne!(key(domain), key(subnet));
            assert_eq!(subnet >> 31, 1);
        }
    }

    #[test]
    fn a_prefix_covers_the_scope_too() {
        assert_eq!(RouteKey::prefix_bits(true, 24), 32 + 96 + 24);
        assert_eq!(RouteKey::prefix_bits(true, 32), RouteKey::BITS);
        assert_eq!(RouteKey::prefix_bits(false, 128), RouteKey::BITS);
        assert_eq!(RouteKey::prefix_bits(false, 0), 32);
    }
}
