//! What the decision may read.

use crate::{
    abi::{
        config::Config, flood::Flood, lookup::LookupRecord, rewrite::RewriteEntry,
        underlay::NextHop, vport::Vport, vsid::VirtualSubnet,
    },
    id::{Address, Mac},
};

/// What a look-up of a record said. A number and no more: of an enum that holds what was found, the
/// verifier refuses the part that was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Answer {
    /// There is no such record.
    Absent,
    /// The record was written.
    Found,
    /// A writer changed the table each time that it was tried. Programs alone hear this: for anybody
    /// else the table stands still.
    Busy,
}

/// The tables of one host. Reads only; the BPF maps, the slow path's copies and
/// hash maps of tests implement it.
pub trait Tables {
    /// Settings of the provider network; `None` before the first table image.
    fn config(&self) -> Option<&Config>;
    /// The vport behind a device.
    fn vport(&self, ifindex: u32) -> Option<&Vport>;
    /// Whether the port in `slot` may use `ca`.
    fn port_has_ca(&self, slot: u32, ca: Address) -> bool;
    /// The device of the local port with this MAC in this VSID.
    fn local_port(&self, vsid: u32, mac: Mac) -> Option<u32>;
    /// The lookup record of a CA in a routing domain: a copy, for the table may change meanwhile. Where
    /// none was found, `record` means nothing. Each look-up is a use of the record.
    fn lookup(&self, rdid: u32, ca: Address, record: &mut LookupRecord) -> Answer;
    /// The route with the longest prefix of a CA: [`LookupRecord::ON_LINK`], or the next hop's record.
    fn route(&self, scope: u32, ca: Address) -> Option<&LookupRecord>;
    /// The record of a MAC in a virtual subnet, where frames are switched by MAC.
    fn station(&self, vsid: u32, mac: Mac) -> Option<&LookupRecord>;
    /// Who gets a virtual subnet's broadcast.
    fn flood(&self, vsid: u32) -> Option<&Flood>;
    /// How the underlay reaches a PA.
    fn next_hop(&self, pa_index: u32) -> Option<&NextHop>;
    /// The virtual subnet of a VSID that this host takes part in.
    fn subnet(&self, vsid: u32) -> Option<&VirtualSubnet>;
    /// Whether the PA is one of this host's, or a multicast group that it takes part in.
    fn is_local_pa(&self, pa: Address) -> bool;
    /// Whose PA it is, if that is a CA's own.
    fn rewrite(&self, pa: Address) -> Option<&RewriteEntry>;
}

#[cfg(test)]
mod tests;
