//! `FLOODS`: VSID -> who gets a broadcast.

use super::pod;

/// Most receivers of a kind to which a program copies a frame; user space does more.
pub const MOST: usize = 16;

/// Most ports in one entry of those that are not virtualized: their program goes on in itself for the
/// next entry, at most 32 times, and kernel 6.1 verifies no longer loop within bounds.
pub const PLAIN_MOST: usize = 4;

/// The receivers of a virtual subnet's broadcast and multicast.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flood {
    /// Local ports in `ports`, at most [`MOST`]; or [`Flood::WIDE`].
    pub port_count: u32,
    /// Hosts in `pas`, at most [`MOST`].
    pub pa_count: u32,
    /// Devices of the local ports.
    pub ports: [u32; MOST],
    /// Indexes in `UNDERLAY`: of other hosts with a port in the subnet, or of its multicast group.
    /// All of one family.
    ///
    /// Of a [`super::scope`] that is not virtualized: in the first place, the scope that has more
    /// ports.
    pub pas: [u32; MOST],
}

const _: () = assert!(size_of::<Flood>() == 136);

impl Flood {
    /// Not for programs: too many, or reached over both families.
    pub const WIDE: u32 = u32::MAX;

    /// The value for so many receivers.
    pub fn new(ports: &[u32], pas: &[u32], mixed: bool) -> Self {
        let mut flood = Self::default();
        if mixed || ports.len() > MOST || pas.len() > MOST {
            flood.port_count = Self::WIDE;
            return flood;
        }
        for (to, from) in flood.ports.iter_mut().zip(ports) {
            *to = *from;
        }
        for (to, from) in flood.pas.iter_mut().zip(pas) {
            *to = *from;
        }
        (flood.port_count, flood.pa_count) = (ports.len() as u32, pas.len() as u32);
        flood
    }

    /// Ports that are not virtualized, at most [`PLAIN_MOST`]; `rest`: the scope that has the others.
    pub fn plain(ports: &[u32], rest: Option<u32>) -> Self {
        Self::new(ports, rest.as_slice(), false)
    }

    /// The scope that has more ports of a VLAN or external interface.
    #[inline(always)]
    pub const fn rest(&self) -> Option<u32> {
        let [rest, ..] = self.pas;
        if self.pa_count == 0 { None } else { Some(rest) }
    }

    /// Whether user space has to do it.
    #[inline(always)]
    pub const fn is_wide(&self) -> bool {
        self.port_count == Self::WIDE
    }
}

pod!(Flood);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_user_spaces() {
        let most: [u32; MOST] = core::array::from_fn(|i| i as u32 + 1);
        let flood = Flood::new(&most, &[7], false);
        assert_eq!((flood.port_count, flood.pa_count, flood.pas[0]), (16, 1, 7));
        assert!(!flood.is_wide());
        assert!(Flood::new(&[1; MOST + 1], &[], false).is_wide());
        assert!(Flood::new(&[], &[1; MOST + 1], false).is_wide());
        assert!(Flood::new(&[1], &[1], true).is_wide());
    }

    #[test]
    fn more_ports_are_in_another_entry() {
        assert_eq!(Flood::plain(&[3], None).rest(), None);
        let first = Flood::plain(&[1; PLAIN_MOST], Some(9));
        assert_eq!((first.port_count, first.rest()), (4, Some(9)));
    }
}
