//! Which addresses a VM, a host and a group may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Checker, Subject};
use crate::policy::document::VirtualSubnetSpec;

const fn v4(address: [u8; 4], len: u8) -> IpNet {
    let [a, b, c, d] = address;
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len))
}

const fn v6(address: u128, len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(address), len))
}

/// `fe80::/10`: every link has the same ones (RFC 4291, section 2.5.6).
const LINK_LOCAL: IpNet = v6(0xfe80 << 112, 10);
/// "This network", loopback, multicast and reserved (RFC 1122, section 3.2.1.3); unspecified,
/// loopback and IPv4-compatible, IPv4-mapped, link-local and multicast (RFC 4291, section 2.4).
const NOT_UNICAST: [IpNet; 7] = [
    v4([0, 0, 0, 0], 8),
    v4([127, 0, 0, 0], 8),
    v4([224, 0, 0, 0], 3),
    v6(0, 96),
    v6(0xffff << 32, 96),
    LINK_LOCAL,
    v6(0xff00 << 112, 8),
];

/// Longest prefix with room for a gateway and a VM.
pub(super) fn longest_prefix(prefix: &IpNet) -> u8 {
    prefix.max_prefix_len() - 2
}

/// The special range that is in `net`, or that it is in.
pub(super) fn special(net: &IpNet) -> Option<&'static IpNet> {
    let mut all = NOT_UNICAST.iter();
    all.find(|special| special.contains(net) || net.contains(*special))
}

impl Checker<'_> {
    /// A prefix of a virtual subnet.
    pub(super) fn prefix(&mut self, at: &Subject, path: String, prefix: IpNet) {
        if !self.no_host_bits(at, &path, prefix) {
            return;
        }
        let longest = longest_prefix(&prefix);
        if prefix.prefix_len() > longest {
            let message = format!("{prefix} has no room for a gateway and a VM");
            let hint = format!("use /{longest} or a shorter prefix");
            self.fault(at, path, message, hint);
        } else if let Some(special) = special(&prefix) {
            let message = format!("{prefix} has addresses of {special}, which no VM may have");
            self.fault(at, path, message, "use a unicast prefix");
        }
    }

    /// Prefixes of one routing domain are disjoint. Sorted, a prefix can only lie
    /// inside the last one that does not lie inside another.
    pub(super) fn overlaps(&mut self, at: &Subject, mut prefixes: Vec<(IpNet, String)>) {
        prefixes.retain(|(prefix, _)| prefix.trunc() == *prefix);
        prefixes.sort_by_key(|(prefix, _)| *prefix);
        let mut outer: Option<(IpNet, String)> = None;
        for (prefix, path) in prefixes {
            match &outer {
                Some((other, place)) if other.contains(&prefix) => {
                    let message = format!("{prefix} overlaps {other} of {place}");
                    let hint = "prefixes of one routing domain are disjoint";
                    self.fault(at, path, message, hint);
                }
                _ => outer = Some((prefix, path)),
            }
        }
    }

    /// Returns whether it is so.
    pub(super) fn no_host_bits(&mut self, at: &Subject, path: &str, prefix: IpNet) -> bool {
        let trunc = prefix.trunc();
        if trunc != prefix {
            let message = format!("{prefix} has bits set behind its prefix length");
            self.fault(at, path, message, format!("write {trunc}"));
        }
        trunc == prefix
    }

    /// A CA that a station of the subnet may have. Returns whether it is.
    pub(super) fn customer_address(
        &mut self,
        at: &Subject,
        path: &str,
        subnet: &VirtualSubnetSpec,
        ca: IpAddr,
    ) -> bool {
        let within = subnet.prefixes.iter().find(|prefix| prefix.contains(&ca));
        let Some(prefix) = within else {
            let prefixes: Vec<String> = subnet.prefixes.iter().map(IpNet::to_string).collect();
            let message = format!("{ca} is outside {}", prefixes.join(", "));
            let hint = "use an address inside the subnet's prefixes";
            self.fault(at, path, message, hint);
            return false;
        };
        // The prefix has its own fault.
        if prefix.prefix_len() > longest_prefix(prefix) {
            return true;
        }
        let (message, hint) = if ca.is_ipv4() {
            if ca != prefix.network() && ca != prefix.broadcast() {
                return true;
            }
            let message = format!("{ca} is the first or last address of {prefix}");
            (message, "use one between them")
        } else {
            // RFC 4291, section 2.6.1.
            if ca != prefix.network() {
                return true;
            }
            let message = format!("{ca} is the subnet-router anycast address of {prefix}");
            (message, "use a higher one")
        };
        self.fault(at, path, message, hint);
        false
    }

    /// A PA that packets can be sent to.
    pub(super) fn provider_address(&mut self, at: &Subject, path: &str, address: IpAddr) {
        let Some(special) = special(&address.into()) else {
            return;
        };
        let canonical = address.to_canonical();
        let (message, hint) = if canonical != address {
            let message = format!("{address} is an IPv4 address in the form of IPv6");
            (message, format!("write {canonical}"))
        } else if *special == LINK_LOCAL {
            let message = format!("{address} means another host on each link");
            let hint = "use a global or unique local address of the underlay";
            (message, hint.to_owned())
        } else {
            let message = format!("{address} is not the address of one host");
            (message, "use a unicast address of the underlay".to_owned())
        };
        self.fault(at, path, message, hint);
    }

    /// A multicast PA: administratively scoped (RFC 2365), or of a scope beyond the
    /// host (RFC 4291, section 2.7).
    pub(super) fn provider_group(&mut self, at: &Subject, path: &str, address: IpAddr) {
        let is_group = match address {
            IpAddr::V4(v4) => v4.octets()[0] == 239,
            IpAddr::V6(v6) => v6.is_multicast() && v6.octets()[1] & 0xf > 1,
        };
        if !is_group {
            let message = format!("{address} is no multicast group of an underlay");
            let hint = "use one of 239.0.0.0/8, or of IPv6 such as ff08::/16";
            self.fault(at, path, message, hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unicast_of_both_families_is_not_special() {
        for good in ["10.0.0.5", "192.0.2.1", "2001:db8::1", "fd00::5"] {
            let net = IpNet::from(good.parse::<IpAddr>().unwrap());
            assert_eq!(special(&net), None, "{good}");
        }
        for bad in [
            "0.0.0.1",
            "127.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.5",
            "fe80::1",
            "febf::1",
            "ff02::1",
        ] {
            let net = IpNet::from(bad.parse::<IpAddr>().unwrap());
            assert!(special(&net).is_some(), "{bad}");
        }
        assert!(special(&"::/0".parse().unwrap()).is_some());
    }
}
