//! Scopes of `LOCAL_PORTS` and `FLOODS`: where a MAC is a port's, and who gets a broadcast.
//!
//! Of a virtual subnet it is the VSID, 24 bits. Ports that are not virtualized have numbers beyond.

/// The VLAN of the uplink with this id.
#[inline(always)]
pub const fn of_vlan(id: u16) -> u32 {
    VLAN | id as u32
}

/// What is behind an interface of the host.
#[inline(always)]
pub const fn of_interface(ifindex: u32) -> u32 {
    INTERFACE | ifindex
}

/// More receivers of a broadcast than one entry of `FLOODS` has room for: the first entry says which
/// of these has the others, and so on.
pub const fn of_rest(number: u32) -> u32 {
    REST | number
}

/// Whether it is one of ports that are not virtualized.
pub const fn is_plain(scope: u32) -> bool {
    scope >= VLAN
}

const VLAN: u32 = 0x0100_0000;
const REST: u32 = 0x0200_0000;
/// Indexes of interfaces are positive as signed numbers.
const INTERFACE: u32 = 0x8000_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Vsid;

    #[test]
    fn scopes_are_no_vsids_and_not_each_other() {
        let all = [
            of_vlan(1),
            of_vlan(4094),
            of_rest(0),
            of_rest(1023),
            of_interface(1),
        ];
        for (index, scope) in all.iter().enumerate() {
            assert!(is_plain(*scope) && !all[..index].contains(scope));
        }
        assert!(!is_plain(Vsid::VENDOR));
    }
}
