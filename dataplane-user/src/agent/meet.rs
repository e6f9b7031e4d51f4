//! The first time that the policy has this host.

use std::net::IpAddr;

use super::{Agent, reconcile::tell, source};
use crate::{
    netdev::Inventory,
    policy::{Ids, PortKey, model::Host, table_image::TableImage},
};

impl Agent {
    /// When the policy has this host for the first time: makes this host's numbers
    /// those that the store and the kernel's tables have.
    pub(super) async fn meet(&mut self, seen: &Inventory, conditions: &mut Vec<String>) {
        let (policy, host) = (&self.source.policy, &self.settings.host);
        if self.known || self.source.version == 0 {
            return;
        }
        match policy.hosts.get(host) {
            None => return conditions.push(self.unknown_host()),
            Some(document) if self.is_another(document, seen) => {
                return conditions.push(format!(
                    "no provider address of host {host} is on this host or in its tables, which are another host's and go on; start nved with the --host of this one"
                ));
            }
            Some(_) => {}
        }
        match source::saved_ids(&*self.store, host).await {
            Ok(saved) => {
                self.ids = saved.clone().unwrap_or_else(source::new_ids);
                self.ids.adopt(&self.image, policy, host);
                self.slow_path.adopt(&mut self.image);
                self.saved_ids = saved.map(|ids| (self.source.store, ids));
                self.ports.remember(had(&self.image, &self.ids));
                self.known = true;
            }
            Err(error) => tell(conditions, error.to_string()),
        }
    }

    /// Whether the tables that an earlier nved left are of another host than this document's.
    fn is_another(&self, document: &Host, seen: &Inventory) -> bool {
        let pas = || document.addresses.iter().map(|pa| pa.address);
        let in_tables = |pa: IpAddr| self.image.local_pas.contains(&pa.into());
        let here = |pa| seen.bearers(pa).next().is_some();
        !self.image.local_pas.is_empty() && !pas().any(in_tables) && !pas().any(here)
    }

    pub(super) fn unknown_host(&self) -> String {
        let host = &self.settings.host;
        format!("no Host document named {host}: apply one, or start nved with the --host of one")
    }
}

/// The devices that ports had when an earlier nved wrote the tables.
fn had(image: &TableImage, ids: &Ids) -> impl Iterator<Item = (PortKey, u32)> {
    image.vports.iter().filter_map(|(ifindex, vport)| {
        let (network, name) = ids.port_in(vport.slot)?.split_once('/')?;
        Some((PortKey::new(network, name), *ifindex))
    })
}
