//! How the underlay reaches provider addresses, as the kernel's tables tell.
//!
//! * [`watch`]: says when any of those tables changed.
//! * [`kernel`]: asks for the ways to all PAs.
//! * [`route`] and [`entry`]: what the kernel's answers mean; pure.
//! * [`neighbours`]: keeps next hops alive.
//! * `crowd`: more next hops than the kernel has room for.
//! * [`groups`]: membership of multicast groups.
//! * [`presence`]: PAs of ports here, as neighbours see them; pure.
//! * [`filter`]: MACs of VMs that interfaces take frames for.
//! * [`announce`] and [`send`]: says where the PAs of ports are.
//! * [`path_mtu`]: path MTUs that routers told of; pure.
//! * [`resolve`]: the answers into next hops; pure.

use std::net::IpAddr;

use dataplane_common::wire::outer;

pub mod announce;
mod crowd;
pub mod entry;
pub mod filter;
pub mod groups;
pub mod kernel;
pub mod neighbours;
pub mod path_mtu;
pub mod presence;
pub mod resolve;
pub mod route;
pub mod send;
pub mod watch;

pub use groups::Groups;
pub use kernel::{Question, Resolver};
pub use path_mtu::PathMtus;
pub use resolve::{Path, Reach};

/// What encapsulation towards this PA takes of the path MTU, bytes.
pub fn mtu_cost(pa: IpAddr) -> u16 {
    outer::mtu_cost(&pa.into())
}

/// The first of our PAs in the family of `pa`: what the programs send there comes from it.
pub fn source(pa: IpAddr, own: &[IpAddr]) -> Option<IpAddr> {
    let same = |own: &&IpAddr| own.is_ipv4() == pa.is_ipv4();
    own.iter().find(same).copied()
}
