//! Routes and neighbours into next hops. Pure.

use std::{fmt::Display, net::IpAddr};

use dataplane_common::{
    abi::underlay::NextHop,
    id::{Address, Mac},
};

use super::{entry::Key, source};

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
    /// Router towards it; the PA itself when it is on the link or a multicast group.
    pub next_hop: IpAddr,
    /// MTU of the route or the interface.
    pub mtu: u32,
    /// MTU of the path, as a router told.
    pub told_mtu: Option<u16>,
    /// MAC of the interface.
    pub src_mac: Mac,
    /// MAC of the next hop, when it is known and usable.
    pub dst_mac: Option<Mac>,
    /// It is not known yet, and being asked for.
    pub open: bool,
}

impl Path {
    /// The neighbour to keep alive: what is for one other host and leaves by an uplink has one.
    pub fn hop(&self) -> Option<Key> {
        let one = !self.local && !self.next_hop.is_multicast();
        (self.uplink && one).then_some((self.ifindex, self.next_hop))
    }
}

/// The MAC of a multicast group (RFC 1112, section 6.4; RFC 2464, section 7).
pub fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(v4) => {
            let [_, a, b, c] = v4.octets();
            Mac([0x01, 0x00, 0x5e, a & 0x7f, b, c])
        }
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
    }
}

/// A PA and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// For the map.
    pub hop: NextHop,
    /// MTU of the route or the interface, whatever routers told; 0 when there is none.
    pub link_mtu: u16,
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
            link_mtu: hop.path_mtu,
            state: "resolved",
            interface: String::new(),
            condition: String::new(),
        };
        let pa = IpAddr::from(hop.pa);
        (hop.state == NextHop::RESOLVED).then_some((pa, reach))
    }

    /// This, or `former` while the next hop of `path` is being asked for: who changes a route or
    /// flushes neighbours loses no packet before the answer. The kernel gives up after
    /// `mcast_solicit` tries, 3 s unless changed.
    #[must_use]
    pub fn unless_better(self, path: Option<&Path>, former: Option<&Self>) -> Self {
        let open = path.is_some_and(|path| path.open);
        let resolved = |reach: &&Self| reach.hop.state == NextHop::RESOLVED;
        let source = self.hop.src;
        let better = former.filter(|former| {
            open && self.hop.state == NextHop::NO_NEIGHBOUR && former.hop.src == source
        });
        better.filter(resolved).cloned().unwrap_or(self)
    }
}

/// The next hop of `pa`; `own` are this host's PAs.
pub fn reach(pa: IpAddr, path: Option<&Path>, own: &[IpAddr]) -> Reach {
    let mut hop = NextHop::unrouted(pa.into(), source_key(pa, own));
    if own.contains(&pa) {
        return local(hop, path);
    }
    let path = match way(pa, path, own) {
        Ok(path) => path,
        Err(why) => {
            let condition = format!("provider address {pa}: {why}");
            return unusable(hop, "noRoute", path, condition);
        }
    };
    let link_mtu = u16::try_from(path.mtu).unwrap_or(u16::MAX);
    hop.ifindex = path.ifindex;
    hop.path_mtu = path.told_mtu.map_or(link_mtu, |told| told.min(link_mtu));
    hop.src_mac = path.src_mac;
    let mut reach = Reach {
        hop,
        link_mtu,
        state: "resolved",
        interface: path.interface.clone(),
        condition: String::new(),
    };
    if let Some(mac) = path.dst_mac {
        reach.hop.dst_mac = mac;
        reach.hop.state = NextHop::RESOLVED;
    } else {
        reach.hop.state = NextHop::NO_NEIGHBOUR;
        reach.state = "noNeighbour";
        reach.condition = format!(
            "provider address {pa}: {} does not answer on {}",
            path.next_hop, path.interface
        );
    }
    reach
}

/// A PA of a port here: others reach it by the interface that this host would reach it by, and nothing
/// is sent to it.
pub fn of_port(pa: IpAddr, path: Option<&Path>, own: &[IpAddr]) -> Reach {
    let mut reach = reach(pa, path, own);
    if let Some(path) = path.filter(|path| path.local) {
        reach.hop.state = NextHop::HOSTS;
        reach.condition = format!(
            "provider address {pa} is of a port, whose packets the host's own stack would get: remove it from {}",
            path.interface
        );
    } else if reach.state == "noNeighbour" || reach.state == "resolved" {
        reach.hop.state = NextHop::NO_NEIGHBOUR;
        reach.state = "local";
        reach.condition.clear();
    }
    reach
}

/// The way that packets to another host can take, or why there is none.
fn way<'p>(pa: IpAddr, path: Option<&'p Path>, own: &[IpAddr]) -> Result<&'p Path, String> {
    let Some(source) = source(pa, own) else {
        let family = if pa.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(format!(
            "this host has no {family} provider address; add one to its Host document"
        ));
    };
    match path.filter(|path| !path.local) {
        Some(path) if path.uplink => Ok(path),
        Some(path) => Err(format!(
            "its route leads through {}, which is no uplink; correct the route, or name the interface in --uplink",
            path.interface
        )),
        None if pa.is_multicast() => Err(format!("no uplink that is up bears {source}")),
        None => Err("the kernel has no route to it".to_owned()),
    }
}

/// The next hop of a PA of which the kernel does not tell the way: as it was, or no route. One
/// PA is no reason not to follow the others.
pub fn untold(pa: IpAddr, former: Option<&Reach>, own: &[IpAddr], why: &impl Display) -> Reach {
    if let Some(former) = former {
        tracing::warn!("provider address {pa} stays as it was: {why}");
        return former.clone();
    }
    let hop = NextHop::unrouted(pa.into(), source_key(pa, own));
    let condition = format!("provider address {pa}: the kernel does not tell the way to it: {why}");
    unusable(hop, "noRoute", None, condition)
}

fn local(hop: NextHop, path: Option<&Path>) -> Reach {
    Reach {
        hop,
        link_mtu: 0,
        state: "local",
        interface: path.map_or_else(String::new, |path| path.interface.clone()),
        condition: String::new(),
    }
}

fn unusable(hop: NextHop, state: &'static str, path: Option<&Path>, condition: String) -> Reach {
    Reach {
        hop,
        link_mtu: 0,
        state,
        interface: path.map_or_else(String::new, |path| path.interface.clone()),
        condition,
    }
}

/// Our first PA of the family, whatever source the kernel's route prefers: it is the one that
/// our ports' lookup records name, and peers take packets from no other.
fn source_key(pa: IpAddr, own: &[IpAddr]) -> Address {
    source(pa, own).map_or(Address::UNSPECIFIED, Address::from)
}

#[cfg(test)]
mod tests;
