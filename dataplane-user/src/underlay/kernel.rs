//! Questions to the kernel about routes and neighbours.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use dataplane_common::id::Mac;
use futures_util::TryStreamExt;
use netlink_packet_route::{
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
    },
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType},
};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::resolve::{Path, Reach, reach};
use crate::netdev::{Inventory, mac};

/// How often a resolved neighbour is used in the kernel's name: frames that the
/// programs send never refresh the kernel's entry.
const REFRESH: Duration = Duration::from_secs(10);

/// Resolves PAs.
pub struct Resolver {
    handle: Handle,
    uplinks: BTreeSet<String>,
    used: BTreeMap<(u32, IpAddr), Instant>,
}

impl Resolver {
    /// A resolver for paths through these interfaces.
    pub fn new(handle: Handle, uplinks: impl IntoIterator<Item = String>) -> Self {
        Self {
            handle,
            uplinks: uplinks.into_iter().collect(),
            used: BTreeMap::new(),
        }
    }

    /// How each PA is reached now; as in `former` when the kernel does not say. Unresolved
    /// neighbours are asked for.
    pub async fn resolve(
        &mut self,
        pas: &BTreeSet<IpAddr>,
        own: &[IpAddr],
        seen: &Inventory,
        former: &BTreeMap<IpAddr, Reach>,
    ) -> Result<BTreeMap<IpAddr, Reach>, rtnetlink::Error> {
        let neighbours = self.neighbours().await?;
        let mut answers = BTreeMap::new();
        for pa in pas {
            let path = match self.path(*pa, seen, &neighbours).await {
                Ok(path) => path,
                Err(error) => {
                    let Some(reach) = former.get(pa) else {
                        return Err(error);
                    };
                    tracing::warn!("provider address {pa} stays as it was: {error}");
                    answers.insert(*pa, reach.clone());
                    continue;
                }
            };
            if let Some(path) = path.as_ref().filter(|path| !path.local && path.uplink) {
                self.keep_alive(path).await;
            }
            answers.insert(*pa, reach(*pa, path.as_ref(), own));
        }
        Ok(answers)
    }

    async fn neighbours(&self) -> Result<BTreeMap<(u32, IpAddr), Mac>, rtnetlink::Error> {
        let mut table = BTreeMap::new();
        let mut messages = self.handle.neighbours().get().execute();
        while let Some(message) = messages.try_next().await? {
            table.extend(usable(&message));
        }
        Ok(table)
    }

    async fn path(
        &self,
        pa: IpAddr,
        seen: &Inventory,
        neighbours: &BTreeMap<(u32, IpAddr), Mac>,
    ) -> Result<Option<Path>, rtnetlink::Error> {
        let Some(route) = self.route(pa).await? else {
            return Ok(None);
        };
        let device = if route.local {
            seen.bearers(pa).next()
        } else {
            seen.by_index(route.ifindex)
        };
        let Some(device) = device else {
            return Ok(None);
        };
        let next_hop = route.gateway.unwrap_or(pa);
        Ok(Some(Path {
            local: route.local,
            ifindex: route.ifindex,
            interface: device.name.clone(),
            uplink: self.uplinks.contains(&device.name),
            next_hop,
            mtu: route.mtu.unwrap_or(device.mtu),
            src_mac: device.mac,
            dst_mac: neighbours.get(&(route.ifindex, next_hop)).copied(),
        }))
    }

    /// The kernel's route; `None` when it has none.
    async fn route(&self, pa: IpAddr) -> Result<Option<Route>, rtnetlink::Error> {
        let prefix = if pa.is_ipv4() { 32 } else { 128 };
        let ask = RouteMessageBuilder::<IpAddr>::new();
        let Ok(ask) = ask.destination_prefix(pa, prefix) else {
            return Ok(None);
        };
        let mut answers = self.handle.route().get(ask.build()).execute();
        match answers.try_next().await {
            Ok(answer) => Ok(answer.as_ref().map(Route::from)),
            Err(error) if says_no_route(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the kernel resolve the next hop, or confirm it from time to time.
    async fn keep_alive(&mut self, path: &Path) {
        let key = (path.ifindex, path.next_hop);
        let fresh = self.used.get(&key).is_some_and(|at| at.elapsed() < REFRESH);
        if path.dst_mac.is_some() && fresh {
            return;
        }
        let request = self
            .handle
            .neighbours()
            .add(path.ifindex, path.next_hop)
            .state(NeighbourState::None)
            .flags(NeighbourFlags::Use)
            .replace();
        if let Err(error) = request.execute().await {
            tracing::debug!("neighbour {} on {}: {error}", path.next_hop, path.interface);
        }
        self.used.insert(key, Instant::now());
    }
}

/// Whether the answer is that there is no route, or one that refuses: `unreachable`,
/// `prohibit` or `blackhole`. Other errors say nothing about the route.
fn says_no_route(error: &rtnetlink::Error) -> bool {
    let rtnetlink::Error::NetlinkError(answer) = error else {
        return false;
    };
    [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::EACCES,
        libc::EINVAL,
    ]
    .contains(&-answer.raw_code())
}

/// What of a route matters.
#[derive(Default)]
struct Route {
    local: bool,
    ifindex: u32,
    gateway: Option<IpAddr>,
    mtu: Option<u32>,
}

impl From<&RouteMessage> for Route {
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open; what is not listed does not concern us"
    )]
    fn from(message: &RouteMessage) -> Self {
        let mut route = Self {
            local: message.header.kind == RouteType::Local,
            ..Self::default()
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Oif(ifindex) => route.ifindex = *ifindex,
                RouteAttribute::Gateway(address) => route.gateway = ip(address),
                RouteAttribute::Metrics(metrics) => {
                    route.mtu = metrics.iter().find_map(mtu);
                }
                _ => {}
            }
        }
        route
    }
}

fn mtu(metric: &RouteMetric) -> Option<u32> {
    if let RouteMetric::Mtu(mtu) = metric {
        Some(*mtu)
    } else {
        None
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open; only IP addresses concern us"
)]
fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// The entry's key and MAC, if frames may be sent to it.
fn usable(message: &NeighbourMessage) -> Option<((u32, IpAddr), Mac)> {
    match message.header.state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent => {}
        NeighbourState::Incomplete
        | NeighbourState::Failed
        | NeighbourState::Noarp
        | NeighbourState::None
        | NeighbourState::Other(_)
        | _ => return None,
    }
    let (mut address, mut hardware) = (None, None);
    for attribute in &message.attributes {
        if let NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) = attribute {
            address = Some(IpAddr::from(*v4));
        } else if let NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) = attribute {
            address = Some(IpAddr::from(*v6));
        } else if let NeighbourAttribute::LinkLayerAddress(bytes) = attribute {
            hardware = Some(mac(bytes));
        }
    }
    let mac = hardware.filter(|mac| mac.is_station())?;
    Some(((message.header.ifindex, address?), mac))
}
