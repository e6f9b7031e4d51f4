//! What is done with any device of ours.

use netlink_packet_route::link::LinkAttribute;
use rtnetlink::{Error, Handle, LinkUnspec};

use crate::netdev::NetDevice;

/// Gives a device its alias and MTU.
pub async fn label(
    handle: &Handle,
    device: &NetDevice,
    alias: &str,
    mtu: u16,
) -> Result<(), Error> {
    let mut link = LinkUnspec::new_with_index(device.ifindex)
        .mtu(mtu.into())
        .build();
    let alias = LinkAttribute::IfAlias(alias.to_owned());
    link.attributes.push(alias);
    handle.link().change(link).execute().await
}

/// Sets the MTU.
pub async fn set_mtu(handle: &Handle, ifindex: u32, mtu: u16) -> Result<(), Error> {
    let link = LinkUnspec::new_with_index(ifindex).mtu(mtu.into()).build();
    handle.link().change(link).execute().await
}

/// Lets a device take frames for any MAC, or for its own again.
pub async fn set_promiscuous(handle: &Handle, ifindex: u32, on: bool) -> Result<(), Error> {
    let link = LinkUnspec::new_with_index(ifindex).promiscuous(on).build();
    handle.link().change(link).execute().await
}

/// Brings a device up.
pub async fn bring_up(handle: &Handle, ifindex: u32) -> Result<(), Error> {
    let up = LinkUnspec::new_with_index(ifindex).up().build();
    handle.link().change(up).execute().await
}

/// Removes a device; the other end of a veth goes with it.
pub async fn remove(handle: &Handle, ifindex: u32) -> Result<(), Error> {
    handle.link().del(ifindex).execute().await
}

/// The host has no business on a tenant's wire: no router solicitations, no MLD.
pub fn quiet_ipv6(name: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    if let Err(error) = std::fs::write(&path, "1") {
        tracing::debug!("{path}: {error}");
    }
}
