//! Membership of multicast groups: the kernel speaks IGMP and MLD for whoever holds a socket.
//!
//! What this process joined ends with it; the next one joins anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, socket_with,
    sockopt::{set_ip_add_membership_with_ifindex, set_ipv6_add_membership},
};

/// Group and index of the interface.
pub type Member = (IpAddr, u32);

/// The groups that this process is in.
#[derive(Debug, Default)]
pub struct Groups {
    /// A socket for each: one alone takes only `net.ipv4.igmp_max_memberships` (20).
    sockets: BTreeMap<Member, OwnedFd>,
}

impl Groups {
    /// Joins what is wanted and leaves all else; what could not be joined, and why. That is
    /// tried again by the next call.
    pub fn follow(&mut self, wanted: &BTreeSet<Member>) -> Vec<(IpAddr, io::Error)> {
        // The kernel forgets the members on an interface that goes, and tells no socket. One
        // that is made again may have the same index.
        let known = if wanted.is_empty() {
            Ok(BTreeSet::new())
        } else {
            memberships()
        };
        let lost = |member: &Member| known.as_ref().is_ok_and(|known| !known.contains(member));
        self.sockets
            .retain(|member, _| wanted.contains(member) && !lost(member));
        let mut refused = Vec::new();
        for member in wanted {
            if self.sockets.contains_key(member) {
                continue;
            }
            match join(*member) {
                Ok(socket) => drop(self.sockets.insert(*member, socket)),
                Err(error) => refused.push((member.0, error)),
            }
        }
        refused
    }
}

fn join((group, ifindex): Member) -> io::Result<OwnedFd> {
    let family = match group {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    // Without a port it receives nothing.
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    match group {
        IpAddr::V4(group) => {
            set_ip_add_membership_with_ifindex(&socket, &group, &Ipv4Addr::UNSPECIFIED, ifindex)?;
        }
        IpAddr::V6(group) => set_ipv6_add_membership(&socket, &group, ifindex)?,
    }
    Ok(socket)
}

/// All memberships in the calling thread's namespace.
fn memberships() -> io::Result<BTreeSet<Member>> {
    let mut all = ipv4(&fs::read_to_string("/proc/thread-self/net/igmp")?);
    match fs::read_to_string("/proc/thread-self/net/igmp6") {
        Ok(text) => all.extend(text.lines().filter_map(ipv6)),
        // A kernel without IPv6 has none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(all)
}

/// A line for each interface, that begins with its index; below it one for each group, indented,
/// that begins with its address, as this machine has a `__be32`.
fn ipv4(text: &str) -> BTreeSet<Member> {
    let (mut members, mut ifindex) = (BTreeSet::new(), 0);
    for line in text.lines() {
        let Some(first) = line.split_ascii_whitespace().next() else {
            continue;
        };
        if !line.starts_with('\t') {
            ifindex = first.parse().unwrap_or(0);
        } else if let Ok(address) = u32::from_str_radix(first, 16) {
            let group = Ipv4Addr::from(address.to_ne_bytes());
            members.insert((group.into(), ifindex));
        }
    }
    members
}

/// Index, interface and address in hexadecimal.
fn ipv6(line: &str) -> Option<Member> {
    let mut words = line.split_ascii_whitespace();
    let ifindex = words.next()?.parse().ok()?;
    let address = u128::from_str_radix(words.nth(1)?, 16).ok()?;
    Some((Ipv6Addr::from_bits(address).into(), ifindex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        let word = u32::from_ne_bytes([239, 1, 2, 3]);
        let text = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\
             \t\t\t\t{:08X}     1 0:00000000\t\t0\n\
             12\teth0      :     2      V3\n\
             \t\t\t\t{word:08X}     1 0:00000000\t\t0\n",
            u32::from_ne_bytes([224, 0, 0, 1])
        );
        let found = ipv4(&text);
        let wanted = [([224, 0, 0, 1], 1), ([239, 1, 2, 3], 12)];
        assert_eq!(found, wanted.map(|(group, at)| (group.into(), at)).into());
        let line = "12   eth0            ff050000000000000000000000010203     1 00000004 0";
        let group = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 0x0203);
        assert_eq!(ipv6(line), Some((group.into(), 12)));
    }

    #[test]
    fn what_cannot_be_joined_is_told() {
        let group = IpAddr::from([239, 1, 2, 3]);
        let nowhere = BTreeSet::from([(group, i32::MAX.cast_unsigned())]);
        let refused = Groups::default().follow(&nowhere);
        assert!(matches!(refused.as_slice(), [(told, _)] if *told == group));
    }
}
