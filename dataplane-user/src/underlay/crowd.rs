//! More next hops than the kernel has room for.
//!
//! PAs of ports are next hops of their own where they are on the link, so there may be many more of
//! them than hosts. From `gc_thresh2` entries on the kernel removes those that were quiet for five
//! seconds, managed ones too, and from `gc_thresh3` on it makes no new ones (`neigh_forced_gc`).

use std::{collections::BTreeSet, fs};

use super::entry::Key;

/// What is wrong; `limit` tells `gc_thresh2` of IPv4 or of IPv6, where it is known.
pub(super) fn crowded(hops: &BTreeSet<Key>, limit: impl Fn(&str) -> Option<usize>) -> Vec<String> {
    let families = [("ipv4", "IPv4", true), ("ipv6", "IPv6", false)];
    let told = families.into_iter().filter_map(|(place, family, v4)| {
        let count = hops.iter().filter(|(_, hop)| hop.is_ipv4() == v4).count();
        let limit = limit(place).filter(|limit| count >= *limit)?;
        Some(format!(
            "{count} {family} next hops of provider addresses are more neighbours than the kernel keeps ({limit}): raise net.{place}.neigh.default.gc_thresh2 and gc_thresh3"
        ))
    });
    told.collect()
}

/// `gc_thresh2`, which a namespace other than the first does not show.
pub(super) fn limit(place: &str) -> Option<usize> {
    let path = format!("/proc/sys/net/{place}/neigh/default/gc_thresh2");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn each_family_has_its_limit() {
        let four = (1..=3).map(|last| (2, IpAddr::from([192, 0, 2, last])));
        let six = [(2, IpAddr::from([0xFD; 16]))];
        let hops = four.chain(six).collect();
        assert_eq!(crowded(&hops, |_| Some(4)), [""; 0]);
        assert_eq!(crowded(&hops, |_| None), [""; 0]);
        let told = crowded(&hops, |_| Some(3));
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("3 IPv4 next hops"), "{told:?}");
        let both = crowded(&hops, |place| Some(if place == "ipv6" { 1 } else { 3 }));
        assert!(both[1].contains("net.ipv6.neigh"), "{both:?}");
    }
}
