//! The tenant's end of a pair, in its namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::{Error, Handle, LinkUnspec, RouteMessageBuilder};

use super::{
    ethtool,
    netns::{self, NetNs, NetNsError, failed},
    state::Wanted,
};
use crate::netdev::NetDevice;

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
    /// The other end of a device, as the policy has it.
    pub fn of(device: &NetDevice, wanted: &Wanted) -> Self {
        Self {
            ifindex: device.other_end.ifindex,
            addresses: wanted.addresses.clone(),
            gateways: wanted.gateways.clone(),
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

/// The default routes alone.
pub async fn route(netns: &NetNs, end: TenantEnd) -> Result<(), NetNsError> {
    netns
        .run(async move |handle| routes(&handle, &end).await)
        .await
}

async fn set_up(handle: &Handle, end: &TenantEnd) -> Result<(), NetNsError> {
    let index = end.ifindex;
    let name = netns::end(index)?.name;
    let up = LinkUnspec::new_with_index(index).mtu(end.mtu).up().build();
    let change = handle.link().change(up).execute();
    change.await.map_err(|error| refused(error, end.mtu))?;
    // Not before it is up: only a change on a device that is up makes the other end
    // a target of XDP redirects.
    ethtool::set_gro(&name, true)?;
    for net in &end.addresses {
        let add = handle.address().add(index, net.addr(), net.prefix_len());
        let done = add.replace().execute().await;
        done.map_err(failed("add the address"))?;
    }
    routes(handle, end).await
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
