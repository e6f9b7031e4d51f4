//! What the decision may read.

use crate::{
    abi::{
        config::Config, lookup::LookupRecord, pa::PaKey, underlay::NextHop, vport::Vport,
        vsid::VirtualSubnet,
    },
    id::Mac,
};

/// The tables of one host. Reads only; the BPF maps, the slow path's copies and
/// hash maps of tests implement it.
pub trait Tables {
    /// Settings of the provider network; `None` before the first table image.
    fn config(&self) -> Option<&Config>;
    /// The vport behind a device.
    fn vport(&self, ifindex: u32) -> Option<&Vport>;
    /// Whether the port in `slot` may use `ca`.
    fn port_has_ca(&self, slot: u32, ca: [u8; 4]) -> bool;
    /// The device of the local port with this MAC in this VSID.
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32>;
    /// The lookup record of a CA in a routing domain. Each look-up is a use of the record.
    fn lookup(&self, rdid: u32, ca: [u8; 4]) -> Option<&LookupRecord>;
    /// How the underlay reaches a PA.
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop>;
    /// The virtual subnet of a VSID that this host takes part in.
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet>;
    /// Whether the PA is one of this host's.
    fn is_local_pa(&self, pa: &PaKey) -> bool;
}
