//! What a neighbour entry of the kernel means to us. Pure.

use std::{net::IpAddr, time::Duration};

use dataplane_common::id::Mac;
use netlink_packet_route::{
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
        NeighbourState,
    },
    route::RouteProtocol,
};

use crate::netdev::mac;

/// Marks the entries that nved has the kernel manage, so that a later nved knows them
/// (`proto 101` in `ip neigh`; a number that nobody has in iproute2's `rt_protos`).
pub const MARK: RouteProtocol = RouteProtocol::Other(0x65);

/// How often a next hop is asked for that does not answer, or whose MAC may be old.
const RETRY: Duration = Duration::from_secs(1);
/// How often a good entry is used in the kernel's name where the kernel does not manage it:
/// an entry that nobody uses is removed (`gc_stale_time`, 60 s unless changed).
const REFRESH: Duration = Duration::from_secs(10);

/// Interface and address.
pub type Key = (u32, IpAddr);

/// An entry, as far as it concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The MAC, if frames may be sent to it.
    pub mac: Option<Mac>,
    /// Who sees to it.
    pub owner: Owner,
    phase: Phase,
}

/// Who sees to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The kernel learned it and may forget it.
    Kernel,
    /// The kernel keeps it alive because an nved asked for that.
    Nved,
    /// An operator or another program: any request of ours would take flags from it.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Known, or not to be asked for.
    Good,
    /// Being asked for.
    Asked,
    /// Known, but for a while nobody heard of it.
    Stale,
    /// It did not answer.
    Failed,
}

impl Entry {
    /// Reads the kernel's message; `None` when it is about no IP neighbour.
    pub fn read(message: &NeighbourMessage) -> Option<(Key, Self)> {
        let (mut address, mut hardware) = (None, None);
        for attribute in &message.attributes {
            if let NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) = attribute {
                address = Some(IpAddr::from(*v4));
            } else if let NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) = attribute {
                address = Some(IpAddr::from(*v6));
            } else if let NeighbourAttribute::LinkLayerAddress(bytes) = attribute {
                hardware = Some(mac(bytes)).filter(|mac| mac.is_station());
            }
        }
        let (phase, usable) = phase(message.header.state);
        let entry = Self {
            mac: hardware.filter(|_| usable),
            owner: owner(message),
            phase,
        };
        Some(((message.header.ifindex, address?), entry))
    }

    /// Whether the next hop may still answer: it is being asked for, or about to be.
    pub fn is_open(entry: Option<&Self>) -> bool {
        entry.is_none_or(|entry| entry.phase == Phase::Asked)
    }

    /// Whether a next hop is to be asked for, `ago` after it last was.
    pub fn is_due(entry: Option<&Self>, managed: bool, ago: Option<Duration>) -> bool {
        let Some(entry) = entry else { return true };
        let pause = match (entry.owner, entry.phase, managed) {
            (Owner::Other, ..) | (Owner::Nved, Phase::Good | Phase::Asked | Phase::Stale, true) => {
                return false;
            }
            // It is given back first.
            (Owner::Nved, _, false) => return false,
            (Owner::Kernel, Phase::Good | Phase::Asked, false) => REFRESH,
            (Owner::Kernel | Owner::Nved, ..) => RETRY,
        };
        ago.is_none_or(|ago| ago >= pause)
    }
}

/// The phase, and whether frames may be sent to the MAC.
fn phase(state: NeighbourState) -> (Phase, bool) {
    match state {
        NeighbourState::Reachable
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent => (Phase::Good, true),
        NeighbourState::Stale => (Phase::Stale, true),
        NeighbourState::Incomplete => (Phase::Asked, false),
        NeighbourState::Noarp => (Phase::Good, false),
        NeighbourState::Failed | NeighbourState::None | NeighbourState::Other(_) | _ => {
            (Phase::Failed, false)
        }
    }
}

fn owner(message: &NeighbourMessage) -> Owner {
    let (mut managed, mut of_others, mut protocol) = (false, false, RouteProtocol::Unspec);
    for attribute in &message.attributes {
        if let NeighbourAttribute::ExtFlags(flags) = attribute {
            managed = flags.contains(NeighbourExtFlags::Managed);
            let theirs = NeighbourExtFlags::Locked | NeighbourExtFlags::ExtValidated;
            of_others |= flags.intersects(theirs);
        } else if let NeighbourAttribute::Protocol(number) = attribute {
            protocol = *number;
        }
    }
    let state = message.header.state;
    of_others |= matches!(state, NeighbourState::Permanent | NeighbourState::Noarp);
    of_others |= message.header.flags.contains(NeighbourFlags::ExtLearned);
    let nobody = [RouteProtocol::Unspec, RouteProtocol::Kernel, MARK].contains(&protocol);
    if of_others || !nobody || (managed && protocol != MARK) {
        Owner::Other
    } else if managed {
        Owner::Nved
    } else {
        Owner::Kernel
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: NeighbourState, more: &[NeighbourAttribute]) -> Entry {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = 7;
        message.header.state = state;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::Inet([192, 0, 2, 2].into())),
            NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 2]),
        ];
        message.attributes.extend_from_slice(more);
        let (key, entry) = Entry::read(&message).expect("an entry");
        assert_eq!(key, (7, IpAddr::from([192, 0, 2, 2])));
        entry
    }

    const MANAGED: NeighbourAttribute = NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed);
    const MARKED: NeighbourAttribute = NeighbourAttribute::Protocol(MARK);
    const NEVER: Option<Duration> = None;

    #[test]
    fn what_others_made_is_used_and_never_touched() {
        let bgp = NeighbourAttribute::Protocol(RouteProtocol::Bgp);
        for theirs in [
            entry(NeighbourState::Permanent, &[]),
            // An operator made an entry of ours permanent.
            entry(NeighbourState::Permanent, &[MARKED]),
            entry(NeighbourState::Stale, &[MANAGED]),
            entry(NeighbourState::Stale, &[bgp]),
        ] {
            assert_eq!(theirs.owner, Owner::Other, "{theirs:?}");
            assert!(theirs.mac.is_some());
            assert!(!Entry::is_due(Some(&theirs), true, NEVER));
            assert!(!Entry::is_due(Some(&theirs), false, NEVER));
        }
    }

    #[test]
    fn the_kernel_is_asked_once_to_manage() {
        let learned = entry(NeighbourState::Reachable, &[]);
        assert_eq!(learned.owner, Owner::Kernel);
        assert!(Entry::is_due(Some(&learned), true, NEVER));
        let kept = entry(NeighbourState::Stale, &[MANAGED, MARKED]);
        assert_eq!(kept.owner, Owner::Nved);
        assert!(!Entry::is_due(Some(&kept), true, Some(REFRESH)));
        assert!(Entry::is_due(None, true, Some(Duration::ZERO)));
    }

    #[test]
    fn where_the_kernel_does_not_manage_entries_are_used() {
        let good = entry(NeighbourState::Reachable, &[]);
        assert!(!Entry::is_due(Some(&good), false, Some(RETRY)));
        assert!(Entry::is_due(Some(&good), false, Some(REFRESH)));
        let stale = entry(NeighbourState::Stale, &[]);
        assert!(Entry::is_due(Some(&stale), false, Some(RETRY)));
    }

    #[test]
    fn who_does_not_answer_is_asked_again_and_gets_no_frames() {
        let silent = entry(NeighbourState::Failed, &[MANAGED, MARKED]);
        assert_eq!(silent.mac, None);
        assert!(!Entry::is_due(Some(&silent), true, Some(Duration::ZERO)));
        assert!(Entry::is_due(Some(&silent), true, Some(RETRY)));
    }
}
