//! What of the kernel's answer about a route matters. Pure.

use std::net::IpAddr;

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};

/// A route.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// To an address of this host.
    pub local: bool,
    /// Interface.
    pub ifindex: u32,
    /// Router; of the other family where the route says `via inet6`.
    pub gateway: Option<IpAddr>,
    /// MTU that the route states, in bytes.
    pub mtu: Option<u32>,
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
                RouteAttribute::Via(RouteVia::Inet(address)) => {
                    route.gateway = Some((*address).into());
                }
                RouteAttribute::Via(RouteVia::Inet6(address)) => {
                    route.gateway = Some((*address).into());
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_may_be_of_the_other_family() {
        let router = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let mut message = RouteMessage::default();
        message.attributes = vec![
            RouteAttribute::Oif(7),
            RouteAttribute::Via(RouteVia::Inet6(router)),
            RouteAttribute::Metrics(vec![RouteMetric::Mtu(1400)]),
        ];
        let route = Route {
            local: false,
            ifindex: 7,
            gateway: Some(router.into()),
            mtu: Some(1400),
        };
        assert_eq!(Route::from(&message), route);
    }
}
