//! Veth pairs of ours: one end here, one in a tenant's namespace.

use netlink_packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{Handle, LinkUnspec, LinkVeth};

use dataplane_common::id::Mac;

use super::netns::NetNs;

/// A pair to make.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// Name of the end here.
    pub name: &'a str,
    /// Name of the tenant's end.
    pub tenant: &'a str,
    /// MAC of the tenant's end.
    pub mac: Mac,
    /// MTU of both.
    pub mtu: u32,
}

/// Makes a pair, the tenant's end straight in its namespace.
pub async fn create(
    handle: &Handle,
    pair: &Pair<'_>,
    netns: &NetNs,
) -> Result<(), rtnetlink::Error> {
    let peer = LinkUnspec::new_with_name(pair.tenant)
        .address(pair.mac.0.to_vec())
        .mtu(pair.mtu)
        .setns_by_fd(netns.as_raw())
        .build();
    let link = LinkVeth::new(pair.name, pair.tenant)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .mtu(pair.mtu)
        .build();
    handle.link().add(link).execute().await
}
