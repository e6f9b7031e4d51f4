//! The tenant's end of a pair, in its namespace.

use std::{
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use ipnet::IpNet;
use rtnetlink::{Error, Handle, LinkUnspec, RouteMessageBuilder};

use super::{
    ethtool,
    netns::{self, NetNs, NetNsError, failed},
    state::Wanted,
};
use crate::{netdev::NetDevice, underlay::path_mtu::LEAST_IPV6};

/// How it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantEnd {
    /// Its index in the namespace; the tenant may have renamed it.
    pub ifindex: u32,
    /// Its addresses with the prefix lengths of their subnets.
    pub addresses: Vec<IpNet>,
    /// Routers of its default routes.
    pub gateways: Vec<IpAddr>,
    /// Its MTU.
    pub mtu: u32,
}

impl TenantEnd {
    /// The other end of a device, as the policy has it. Below 1280 the kernel has no IPv6 on it,
    /// which is no reason to go without IPv4.
    pub fn of(device: &NetDevice, wanted: &Wanted) -> Self {
        let fits = |address: IpAddr| address.is_ipv4() || wanted.mtu >= LEAST_IPV6;
        let addresses = wanted.addresses.iter().filter(|net| fits(net.addr()));
        let gateways = wanted.gateways.iter().filter(|gateway| fits(**gateway));
        Self {
            ifindex: device.other_end.ifindex,
            addresses: addresses.copied().collect(),
            gateways: gateways.copied().collect(),
            mtu: wanted.mtu.into(),
        }
    }
}

/// Addresses, MTU, default routes and GRO of the tenant's end, and up.
pub async fn configure(netns: &NetNs, end: TenantEnd) -> Result<(), NetNsError> {
    netns
        .run(async move |handle| set_up(&handle, &end).await)
        .await
}

/// What the kernel removes from a device that somebody sets down: its routes, and its IPv6
/// addresses.
pub async fn restore(netns: &NetNs, end: TenantEnd) -> Result<(), NetNsError> {
    let work = async move |handle: Handle| {
        let ipv6 = end.addresses.iter().filter(|net| net.addr().is_ipv6());
        addresses(&handle, end.ifindex, ipv6).await?;
        routes(&handle, &end).await
    };
    netns.run(work).await
}

async fn set_up(handle: &Handle, end: &TenantEnd) -> Result<(), NetNsError> {
    let index = end.ifindex;
    let name = netns::end(index)?.name;
    let up = LinkUnspec::new_with_index(index).mtu(end.mtu).up().build();
    let change = handle.link().change(up).execute();
    change.await.map_err(|error| refused(error, end.mtu))?;
    if end.addresses.iter().any(|net| net.addr().is_ipv6()) {
        allow_ipv6(&name);
    }
    // Not before it is up: only a change on a device that is up makes the other end
    // a target of XDP redirects.
    ethtool::set_gro(&name, true)?;
    addresses(handle, index, &end.addresses).await?;
    routes(handle, end).await
}

/// Turns IPv6 on where the namespace has it off for new devices. A kernel without it says so
/// when it gets the address.
fn allow_ipv6(name: &[u8]) {
    let all = Path::new("/proc/sys/net/ipv6/conf");
    let path = all.join(OsStr::from_bytes(name)).join("disable_ipv6");
    if let Err(error) = fs::write(&path, "0") {
        tracing::debug!("{}: {error}", path.display());
    }
}

async fn addresses(
    handle: &Handle,
    index: u32,
    nets: impl IntoIterator<Item = &IpNet>,
) -> Result<(), NetNsError> {
    for net in nets {
        let add = handle.address().add(index, net.addr(), net.prefix_len());
        let done = add.replace().execute().await;
        done.map_err(failed("add the address"))?;
    }
    Ok(())
}

fn refused(error: Error, mtu: u32) -> NetNsError {
    let invalid = matches!(&error, Error::NetlinkError(said) if said.raw_code() == -libc::EINVAL);
    if invalid {
        NetNsError::Mtu { mtu, source: error }
    } else {
        failed("set MTU and up")(error)
    }
}

async fn routes(handle: &Handle, end: &TenantEnd) -> Result<(), NetNsError> {
    for gateway in &end.gateways {
        let mut route = RouteMessageBuilder::<IpAddr>::new().output_interface(end.ifindex);
        let any: IpAddr = match gateway {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        route = match route.destination_prefix(any, 0) {
            Ok(route) => route,
            Err(_) => continue,
        };
        let Ok(route) = route.gateway(*gateway) else {
            continue;
        };
        let add = handle.route().add(route.build()).replace().execute();
        add.await.map_err(failed("add the default route"))?;
    }
    Ok(())
}
