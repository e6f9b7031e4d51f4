//! Ports on devices of others.

use super::{Had, Manager};
use crate::{
    netdev::{Inventory, NetDevice},
    policy::PortKey,
    ports::state::Attachment,
};

impl Manager {
    pub(super) fn existing(
        &mut self,
        port: &PortKey,
        name: &str,
        seen: &Inventory,
    ) -> Result<Attachment, String> {
        let device = self.find(port, name, seen)?;
        let had = Had {
            ifindex: device.ifindex,
            configured: Some(name.to_owned()),
        };
        self.had.insert(port.clone(), had);
        Ok(Attachment::of(device))
    }

    /// The device of that name, or else the one that had it when the port last had a device.
    pub(super) fn find<'s>(
        &self,
        port: &PortKey,
        name: &str,
        seen: &'s Inventory,
    ) -> Result<&'s NetDevice, String> {
        if let Some(device) = seen.by_name(name) {
            let refusal = self.reserved.refuses(device, seen);
            return refusal.map_or(Ok(device), Err);
        }
        let renamed = self.renamed(port, name, seen);
        renamed.ok_or_else(|| format!("interface {name} is not there"))
    }

    fn renamed<'s>(
        &self,
        port: &PortKey,
        name: &str,
        seen: &'s Inventory,
    ) -> Option<&'s NetDevice> {
        let had = self.had.get(port)?;
        let device = seen.by_index(had.ifindex)?;
        let same = had.configured.as_ref().is_none_or(|was| was == name);
        let free = !self.reserved.named.contains(&device.name)
            && self.reserved.refuses(device, seen).is_none();
        (same && free).then_some(device)
    }
}
