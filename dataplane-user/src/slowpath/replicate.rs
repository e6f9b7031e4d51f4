//! Who gets a copy of a frame to all or to a group in a virtual subnet.

use std::collections::BTreeSet;

/// A port of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalPort {
    /// Its device.
    pub ifindex: u32,
    /// Its slot.
    pub slot: u32,
}

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A port of this host.
    Port(LocalPort),
    /// Another NVE.
    Underlay,
}

/// What becomes of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replica {
    /// A port gets it.
    Port(LocalPort),
    /// It is encapsulated, for the NVE or the group of NVEs whose PA has this index.
    Nve {
        /// The index in this host's table of PAs.
        pa_index: u32,
    },
}

/// The copies of a frame, each the same bytes: one for each port and NVE that is listed, once,
/// however often it is.
///
/// Its sender gets none. A frame from the underlay goes to ports alone: its NVE has sent copies to
/// all others, and one that is sent on would go round for ever.
pub fn replicas(source: Source, ports: &[LocalPort], pa_indexes: &[u32]) -> Vec<Replica> {
    let (sender, nves) = match source {
        Source::Port(port) => (Some(port.ifindex), pa_indexes),
        Source::Underlay => (None, &[][..]),
    };
    let ports: BTreeSet<_> = ports.iter().copied().collect();
    let nves: BTreeSet<_> = nves.iter().copied().collect();
    let to_ports = ports
        .into_iter()
        .filter(|port| Some(port.ifindex) != sender)
        .map(Replica::Port);
    let to_nves = nves.into_iter().map(|pa_index| Replica::Nve { pa_index });
    to_ports.chain(to_nves).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn port(number: u32) -> LocalPort {
        LocalPort {
            ifindex: 100 + number,
            slot: number,
        }
    }

    #[test]
    fn all_but_the_sender_get_one() {
        let ports = [port(1), port(2), port(3)];
        let copies = replicas(Source::Port(port(2)), &ports, &[7, 9]);
        let expected = [
            Replica::Port(port(1)),
            Replica::Port(port(3)),
            Replica::Nve { pa_index: 7 },
            Replica::Nve { pa_index: 9 },
        ];
        assert_eq!(copies, expected);
    }

    #[test]
    fn what_another_nve_copied_goes_to_no_nve() {
        let copies = replicas(Source::Underlay, &[port(1), port(2)], &[7, 9]);
        assert_eq!(copies, [1, 2].map(|number| Replica::Port(port(number))));
    }

    #[test]
    fn alone_in_its_subnet_it_reaches_nobody() {
        assert_eq!(replicas(Source::Port(port(1)), &[port(1)], &[]), []);
    }

    proptest! {
        #[test]
        fn nobody_is_left_out_or_gets_two(
            ports in proptest::collection::vec(1..40_u32, 0..60),
            nves in proptest::collection::vec(1..40_u32, 0..60),
            sender in 0..40_u32,
        ) {
            let listed: Vec<_> = ports.iter().copied().map(port).collect();
            let copies = replicas(Source::Port(port(sender)), &listed, &nves);
            let count = |wanted| copies.iter().filter(|copy| **copy == wanted).count();
            for number in 0..40 {
                let expected = number != sender && ports.contains(&number);
                prop_assert_eq!(count(Replica::Port(port(number))), usize::from(expected));
                let expected = nves.contains(&number);
                let copy = Replica::Nve { pa_index: number };
                prop_assert_eq!(count(copy), usize::from(expected));
            }
        }
    }
}
