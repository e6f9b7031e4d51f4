//! PAs of ports here: the host listens where neighbours ask for them, and says where they are.

use std::{collections::BTreeSet, net::IpAddr, time::Instant};

use rtnetlink::Handle;

use super::{Agent, reconcile::tell};
use crate::{
    netdev::Inventory,
    policy::table_image::TableImage,
    underlay::{
        announce::{Announcer, announcement},
        filter::Filter,
        presence::{Present, foreign_macs, present, solicited},
        send::Sender,
    },
};

/// What this nved did so that the PAs are found.
#[derive(Debug)]
pub(super) struct Presence {
    filter: Filter,
    announcer: Announcer,
    sender: Option<Sender>,
    /// Why nothing is announced.
    silent: Option<String>,
}

impl Presence {
    /// As the tables say that an earlier nved left it.
    pub(super) fn adopt(netlink: Handle, image: &TableImage) -> Self {
        let known = present(image);
        Self {
            filter: Filter::adopt(netlink, foreign_macs(&known)),
            announcer: Announcer::adopt(known),
            sender: None,
            silent: None,
        }
    }

    /// When PAs are announced next.
    pub(super) fn due(&self) -> Option<tokio::time::Instant> {
        self.announcer.due().map(Into::into)
    }

    /// Announces what is due, and waits for nothing.
    pub(super) fn announce(&mut self) {
        let due = self.announcer.take(Instant::now());
        if due.is_empty() {
            return;
        }
        let sender = match self.sender.take().map_or_else(Sender::open, Ok) {
            Ok(sender) => sender,
            Err(error) => {
                self.silent = Some(format!(
                    "provider addresses of ports cannot be announced: {error}; give nved CAP_NET_RAW and AF_PACKET"
                ));
                return;
            }
        };
        self.silent = None;
        for (pa, station) in due {
            let frame = announcement(pa, station.mac);
            match sender.send(station.ifindex, &frame) {
                Ok(()) => tracing::debug!("announced {pa} at {}", station.mac),
                Err(error) => tracing::debug!("{pa} is not announced: {error}"),
            }
        }
        self.sender = Some(sender);
    }
}

impl Agent {
    /// Follows the tables: only what the programs answer for is to be found.
    pub(super) async fn follow_presence(&mut self, seen: &Inventory, conditions: &mut Vec<String>) {
        let present = present(&self.image);
        self.follow_groups(&present, conditions);
        for ((ifindex, mac), error) in self.presence.filter.follow(&foreign_macs(&present)).await {
            let device = seen.by_index(ifindex);
            let name = device.map_or_else(|| ifindex.to_string(), |device| device.name.clone());
            conditions.push(format!(
                "interface {name} does not take frames for {mac} (useVmMACAddress): {error}"
            ));
        }
        // Who hears nothing is told when there is a carrier.
        let heard = |ifindex| {
            let device = seen.by_index(ifindex);
            device.is_some_and(|device| device.up && device.carrier)
        };
        let mut audible = present;
        audible.retain(|_, station| heard(station.ifindex));
        let presence = &mut self.presence;
        presence.announcer.follow(audible, Instant::now());
        presence.announce();
        if let Some(why) = presence.silent.clone() {
            tell(conditions, why);
        }
    }

    /// Joins the multicast groups among the PAs, each where its packets leave, and those in which
    /// neighbours ask for IPv6 PAs of ports.
    fn follow_groups(&mut self, present: &Present, conditions: &mut Vec<String>) {
        let groups = self.reach.iter().filter(|(pa, _)| pa.is_multicast());
        let there = groups.filter(|(_, reach)| reach.hop.ifindex != 0);
        let groups = there.map(|(pa, reach)| (*pa, reach.hop.ifindex));
        let wanted = groups.chain(solicited(present)).collect();
        for (group, error) in self.groups.follow(&wanted) {
            let used = |(pa, ifindex): (IpAddr, u32)| pa == group && ifindex != 0;
            let what = if solicited(present).any(used) {
                "in which neighbours ask for provider addresses of ports "
            } else {
                ""
            };
            conditions.push(format!(
                "multicast group {group} {what}cannot be joined: {error}"
            ));
        }
    }

    /// Interfaces take no frames for VMs' MACs any more.
    pub(super) async fn leave_presence(&mut self) {
        self.presence.filter.follow(&BTreeSet::new()).await;
    }
}
