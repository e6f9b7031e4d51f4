//! Veth pairs of ours: one end here, one in a tenant's namespace.

use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use rtnetlink::{Handle, LinkUnspec, LinkVeth};

use dataplane_common::id::Mac;

use super::netns::NetNs;

/// A pair to make.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// Name of the end here.
    pub name: &'a str,
    /// Its alias.
    pub alias: &'a str,
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

/// Gives the end here its alias and MTU.
pub async fn configure(
    handle: &Handle,
    ifindex: u32,
    pair: &Pair<'_>,
) -> Result<(), rtnetlink::Error> {
    quiet_ipv6(pair.name);
    let mut link = LinkUnspec::new_with_index(ifindex).mtu(pair.mtu).build();
    let alias = LinkAttribute::IfAlias(pair.alias.to_owned());
    link.attributes.push(alias);
    handle.link().change(link).execute().await
}

/// Brings the end here up.
pub async fn bring_up(handle: &Handle, ifindex: u32) -> Result<(), rtnetlink::Error> {
    let up = LinkUnspec::new_with_index(ifindex).up().build();
    handle.link().change(up).execute().await
}

/// Removes a pair; its other end goes with it.
pub async fn remove(handle: &Handle, ifindex: u32) -> Result<(), rtnetlink::Error> {
    handle.link().del(ifindex).execute().await
}

/// The host has no business on a tenant's wire: no router solicitations, no MLD.
fn quiet_ipv6(name: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    if let Err(error) = std::fs::write(&path, "1") {
        tracing::debug!("{path}: {error}");
    }
}
