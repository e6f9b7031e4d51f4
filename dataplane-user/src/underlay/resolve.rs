//! Routes and neighbours into next hops. Pure.

use std::{fmt::Display, net::IpAddr};

use dataplane_common::{
    abi::{pa::PaKey, underlay::NextHop},
    id::Mac,
};

use super::entry::Key;
use crate::policy::compile::pa_key;

/// What the kernel says of the way to a PA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The PA is this host's own.
    pub local: bool,
    /// Interface towards it.
    pub ifindex: u32,
    /// Its name.
    pub interface: String,
    /// It is one of the uplinks.
    pub uplink: bool,
    /// Router towards it; the PA itself when it is on the link.
    pub next_hop: IpAddr,
    /// MTU of the route or the interface.
    pub mtu: u32,
    /// MAC of the interface.
    pub src_mac: Mac,
    /// MAC of the next hop, when it is known and usable.
    pub dst_mac: Option<Mac>,
    /// It is not known yet, and being asked for.
    pub open: bool,
}

impl Path {
    /// The neighbour to keep alive: what is not local and leaves by an uplink has one.
    pub fn hop(&self) -> Option<Key> {
        (self.uplink && !self.local).then_some((self.ifindex, self.next_hop))
    }
}

/// A PA and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// For the map.
    pub hop: NextHop,
    /// `local`, `resolved`, `noNeighbour` or `noRoute`.
    pub state: &'static str,
    /// Interface towards it; may be empty.
    pub interface: String,
    /// What is wrong, one sentence; empty when nothing is.
    pub condition: String,
}

impl Reach {
    /// What an earlier nved left in the map, to go on with until more is known.
    pub fn adopted(hop: NextHop) -> Option<(IpAddr, Self)> {
        let reach = Self {
            hop,
            state: "resolved",
            interface: String::new(),
            condition: String::new(),
        };
        let resolved = hop.state == NextHop::RESOLVED;
        resolved.then_some((IpAddr::from(hop.pa_v4()), reach))
    }

    /// This, or `former` while the next hop of `path` is being asked for: who changes a route or
    /// flushes neighbours loses no packet before the answer. The kernel gives up after
    /// `mcast_solicit` tries, 3 s unless changed.
    #[must_use]
    pub fn unless_better(self, path: Option<&Path>, former: Option<&Self>) -> Self {
        let open = path.is_some_and(|path| path.open);
        let resolved = |reach: &&Self| reach.hop.state == NextHop::RESOLVED;
        let source = self.hop.src_v4();
        let better = former.filter(|former| {
            open && self.hop.state == NextHop::NO_NEIGHBOUR && former.hop.src_v4() == source
        });
        better.filter(resolved).cloned().unwrap_or(self)
    }
}

/// The next hop of `pa`; `own` are this host's PAs.
pub fn reach(pa: IpAddr, path: Option<&Path>, own: &[IpAddr]) -> Reach {
    let mut hop = NextHop::unrouted(pa_key(pa), source(own));
    if own.contains(&pa) {
        return local(hop, path);
    }
    let Some(path) = path.filter(|path| !path.local) else {
        let condition = format!("provider address {pa}: the kernel has no route to it");
        return unusable(hop, "noRoute", path, condition);
    };
    if !path.uplink {
        let condition = format!(
            "provider address {pa}: its route leads through {}, which is no uplink; correct the route, or name the interface in --uplink",
            path.interface
        );
        return unusable(hop, "noRoute", Some(path), condition);
    }
    hop.ifindex = path.ifindex;
    hop.path_mtu = u16::try_from(path.mtu).unwrap_or(u16::MAX);
    hop.src_mac = path.src_mac;
    let Some(mac) = path.dst_mac else {
        hop.state = NextHop::NO_NEIGHBOUR;
        let condition = format!(
            "provider address {pa}: {} does not answer on {}",
            path.next_hop, path.interface
        );
        return unusable(hop, "noNeighbour", Some(path), condition);
    };
    hop.dst_mac = mac;
    hop.state = NextHop::RESOLVED;
    Reach {
        hop,
        state: "resolved",
        interface: path.interface.clone(),
        condition: String::new(),
    }
}

/// The next hop of a PA of which the kernel does not tell the way: as it was, or no route. One
/// PA is no reason not to follow the others.
pub fn untold(pa: IpAddr, former: Option<&Reach>, own: &[IpAddr], why: &impl Display) -> Reach {
    if let Some(former) = former {
        tracing::warn!("provider address {pa} stays as it was: {why}");
        return former.clone();
    }
    let hop = NextHop::unrouted(pa_key(pa), source(own));
    let condition = format!("provider address {pa}: the kernel does not tell the way to it: {why}");
    unusable(hop, "noRoute", None, condition)
}

fn local(hop: NextHop, path: Option<&Path>) -> Reach {
    Reach {
        hop,
        state: "local",
        interface: path.map_or_else(String::new, |path| path.interface.clone()),
        condition: String::new(),
    }
}

fn unusable(hop: NextHop, state: &'static str, path: Option<&Path>, condition: String) -> Reach {
    Reach {
        hop,
        state,
        interface: path.map_or_else(String::new, |path| path.interface.clone()),
        condition,
    }
}

/// Our first PA, whatever source the kernel's route prefers: it is the one that
/// our ports' lookup records name, and peers take packets from no other.
fn source(own: &[IpAddr]) -> PaKey {
    own.first().copied().map_or([0; 16], pa_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const OWN: [IpAddr; 2] = [
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 101)),
    ];

    fn path() -> Path {
        Path {
            local: false,
            ifindex: 7,
            interface: "eth0".into(),
            uplink: true,
            next_hop: PA,
            mtu: 1600,
            src_mac: Mac([2, 0, 0, 0, 0, 1]),
            dst_mac: Some(Mac([2, 0, 0, 0, 0, 2])),
            open: false,
        }
    }

    #[test]
    fn a_resolved_path_is_usable() {
        let reach = reach(PA, Some(&path()), &OWN);
        assert_eq!((reach.state, reach.condition.as_str()), ("resolved", ""));
        assert_eq!(reach.hop.state, NextHop::RESOLVED);
        assert_eq!((reach.hop.ifindex, reach.hop.path_mtu), (7, 1600));
        // The PA that our records name, which peers validate.
        assert_eq!(reach.hop.src_v4(), [192, 0, 2, 1]);
    }

    #[test]
    fn without_an_answer_a_pa_stays_as_it_was_or_has_no_route() {
        let former = reach(PA, Some(&path()), &OWN);
        assert_eq!(untold(PA, Some(&former), &OWN, &"no memory"), former);
        let unknown = untold(PA, None, &OWN, &"no memory");
        assert_eq!(unknown.hop.state, NextHop::NO_ROUTE);
        assert_eq!(unknown.state, "noRoute");
        assert_eq!(
            unknown.condition,
            "provider address 192.0.2.2: the kernel does not tell the way to it: no memory"
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut silent = path();
        silent.dst_mac = None;
        let reached = reach(PA, Some(&silent), &OWN);
        assert_eq!(reached.hop.state, NextHop::NO_NEIGHBOUR);
        assert_eq!(
            reached.condition,
            "provider address 192.0.2.2: 192.0.2.2 does not answer on eth0"
        );
        let mut astray = path();
        astray.uplink = false;
        let reached = reach(PA, Some(&astray), &OWN);
        assert_eq!(reached.hop.state, NextHop::NO_ROUTE);
        assert!(reached.condition.contains("eth0, which is no uplink"));
        assert_eq!(reach(PA, None, &OWN).state, "noRoute");
    }

    #[test]
    fn the_former_way_is_used_until_the_new_one_is_known() {
        let former = reach(PA, Some(&path()), &OWN);
        let mut moved = path();
        (moved.ifindex, moved.dst_mac, moved.open) = (8, None, true);
        let now = || reach(PA, Some(&moved), &OWN);
        let kept = now().unless_better(Some(&moved), Some(&former));
        assert_eq!(kept, former);
        // Nobody answered.
        let mut silent = moved.clone();
        silent.open = false;
        let told = now().unless_better(Some(&silent), Some(&former));
        assert_eq!(told.state, "noNeighbour");
        let lost = now().unless_better(Some(&moved), Some(&now()));
        assert_eq!(lost.state, "noNeighbour");
    }

    #[test]
    fn our_own_pa_has_an_entry_with_its_address() {
        let reached = reach(OWN[0], None, &OWN);
        assert_eq!(
            (reached.state, reached.hop.pa_v4()),
            ("local", [192, 0, 2, 1])
        );
    }
}
