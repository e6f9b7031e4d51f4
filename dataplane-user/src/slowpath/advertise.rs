//! What gateways tell of themselves unasked (RFC 4861, section 6.2.4).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use dataplane_common::abi::{
    upcall::{Task, UpcallHeader},
    vport::Vport,
};

use super::{directory::Directory, lane::Returned, neighbour::unsolicited_router_advertisement};

/// Between two advertisements to a port: the default of RFC 4861, section 6.2.1.
const INTERVAL: Duration = Duration::from_mins(10);
/// Ports that are told at once; the others are told in the next rounds.
const AT_ONCE: usize = 64;

/// When each port, by device and slot, was told, and what.
#[derive(Debug, Default)]
pub struct Advertiser {
    told: BTreeMap<(u32, u32), (Instant, Vec<u8>)>,
}

impl Advertiser {
    /// The advertisements that are due: for ports that are new, those that are to be told something
    /// else, and those that were told long ago.
    pub fn due(&mut self, directory: &Directory, now: Instant) -> Vec<Returned> {
        let ports = directory.tables.vports.iter();
        let advertises = |(_, port): &(&u32, &Vport)| port.has(Vport::ADVERTISES);
        let ports: Vec<_> = ports.filter(advertises).collect();
        let keys = ports.iter().map(|(ifindex, port)| (**ifindex, port.slot));
        let keys: BTreeSet<_> = keys.collect();
        self.told.retain(|key, _| keys.contains(key));
        let mut due = Vec::new();
        for (ifindex, port) in ports {
            if due.len() == AT_ONCE {
                break;
            }
            let prefixes = directory.ipv6_prefixes(port.vsid);
            let made = unsolicited_router_advertisement(port.gateway_mac, &prefixes, port.mtu);
            let Some(frame) = made else { continue };
            let told = self.told.get(&(*ifindex, port.slot));
            let fresh = told.is_some_and(|(since, said)| {
                *said == frame && now.saturating_duration_since(*since) < INTERVAL
            });
            if fresh {
                continue;
            }
            let last = (now, frame.clone());
            self.told.insert((*ifindex, port.slot), last);
            due.push(Returned {
                header: UpcallHeader::new(Task::Deliver, *ifindex, port.slot, 0),
                frame,
                tenant: port.rdid,
                since: now,
            });
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(ports: u32) -> Directory {
        let mut directory = Directory::default();
        let prefix = "fd00:6001::/64".parse().unwrap();
        directory.prefixes.insert(6001, vec![prefix]);
        for number in 1..=ports {
            let port = Vport {
                slot: number,
                vsid: 6001,
                mtu: 1400,
                flags: Vport::ADVERTISES,
                ..Vport::default()
            };
            directory.tables.vports.insert(100 + number, port);
        }
        directory
    }

    fn slots(due: &[Returned]) -> Vec<u32> {
        due.iter().map(|returned| returned.header.slot()).collect()
    }

    #[test]
    fn a_port_is_told_at_once_and_every_ten_minutes() {
        let (mut advertiser, start) = (Advertiser::default(), Instant::now());
        let mut directory = directory(2);
        directory.tables.vports.get_mut(&102).unwrap().flags = 0;
        let due = advertiser.due(&directory, start);
        assert_eq!(slots(&due), [1]);
        assert_eq!(due[0].header.task(), Some(Task::Deliver));
        assert_eq!(due[0].header.ifindex(), 101);
        assert_eq!(due[0].frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
        let soon = start + Duration::from_secs(599);
        assert!(advertiser.due(&directory, soon).is_empty());
        let later = start + Duration::from_mins(10);
        assert_eq!(slots(&advertiser.due(&directory, later)), [1]);
    }

    #[test]
    fn a_port_is_told_of_what_changed_and_after_it_was_gone() {
        let (mut advertiser, now) = (Advertiser::default(), Instant::now());
        let mut directory = directory(1);
        assert_eq!(slots(&advertiser.due(&directory, now)), [1]);
        let other = "fd00:6002::/64".parse().unwrap();
        directory.prefixes.insert(6001, vec![other]);
        assert_eq!(slots(&advertiser.due(&directory, now)), [1]);
        let port = directory.tables.vports.remove(&101).unwrap();
        assert!(advertiser.due(&directory, now).is_empty());
        directory.tables.vports.insert(101, port);
        assert_eq!(slots(&advertiser.due(&directory, now)), [1]);
    }

    #[test]
    fn many_ports_are_told_in_several_rounds() {
        let (mut advertiser, now) = (Advertiser::default(), Instant::now());
        let directory = directory(150);
        let rounds = [64, 64, 22, 0];
        for count in rounds {
            assert_eq!(advertiser.due(&directory, now).len(), count);
        }
    }
}
