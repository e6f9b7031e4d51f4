//! What the host's devices and underlay look like.

use std::{collections::BTreeMap, net::IpAddr};

use dataplane_common::abi::{config::Config, underlay::NextHop};

use crate::policy::key::PortKey;

/// What the host's devices and underlay look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Ports whose device is there.
    pub ports: BTreeMap<PortKey, AttachedPort>,
    /// What the kernel's routes and neighbours say of each PA.
    pub next_hops: BTreeMap<IpAddr, NextHop>,
    /// The way to user space.
    pub upcall: Upcall,
    /// Where frames of ports go that are not virtualized.
    pub links: Links,
}

/// The devices behind ports that are not virtualized, by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The uplink that has the VLANs.
    pub uplink: Option<u32>,
    /// External interfaces with our program, by name.
    pub external: BTreeMap<String, u32>,
}

/// The way from the programs to user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcall {
    /// Device that packets for user space are sent to; 0: there is none.
    pub ifindex: u32,
    /// Time between two punts of a port in the long run, nanoseconds.
    pub interval: u32,
    /// Punts of a port that may come at once.
    pub burst: u32,
}

impl Default for Upcall {
    fn default() -> Self {
        Self {
            ifindex: 0,
            interval: Config::DEFAULT.punt_interval,
            burst: Config::DEFAULT.punt_burst,
        }
    }
}

/// A port's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedPort {
    /// Its index.
    pub ifindex: u32,
    /// Its MTU, layer 3, bytes.
    pub mtu: u16,
    /// Whether it is one end of a veth whose other end is in another network namespace.
    pub peer: bool,
}
