//! `LOCAL_PAS`: the provider addresses of this host, and their 16-byte form.

/// A PA as a map key: IPv6, or IPv4 in the IPv4-mapped form of RFC 4291.
pub type PaKey = [u8; 16];

/// The 16-byte form of an IPv4 address.
#[inline(always)]
pub const fn from_v4(address: [u8; 4]) -> PaKey {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// The IPv4 address in an IPv4-mapped key.
#[inline(always)]
pub const fn to_v4(key: PaKey) -> [u8; 4] {
    let [.., a, b, c, d] = key;
    [a, b, c, d]
}
