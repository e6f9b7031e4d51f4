//! Ports on taps of ours.

use super::Manager;
use crate::{
    netdev::{self, Inventory, Kind, NetDevice},
    policy::PortKey,
    ports::{
        link, names,
        state::{Attachment, Trouble, Wanted},
        tap::Tap,
    },
};

impl Manager {
    pub(super) async fn tap(
        &self,
        port: &PortKey,
        wanted: &Wanted,
        name: &str,
        seen: &Inventory,
    ) -> Result<Attachment, Trouble> {
        let alias = names::alias(&self.host, port, &wanted.attach);
        let device = match (seen.by_alias(&alias), seen.by_name(name)) {
            (Some(found), _) if found.kind == Kind::Tap => found.clone(),
            (Some(found), _) => {
                let name = &found.name;
                return Err(Trouble::Absent(format!(
                    "interface {name} has this port's alias and is no tap; remove it"
                )));
            }
            (None, Some(_)) => {
                return Err(Trouble::Absent(format!(
                    "interface {name} exists and is not nved's; remove it, or attach the port by {{interface: {name}}}"
                )));
            }
            (None, None) => {
                let made = self.make_tap(name, &alias, wanted).await;
                let failed = |error| format!("cannot make tap {name}: {error:#}");
                made.map_err(failed).map_err(Trouble::Failed)?
            }
        };
        self.hold_mtu(&device, wanted.mtu).await?;
        Ok(Attachment::own(&device, wanted.mtu))
    }

    /// Makes it, down; it stays only once it bears our alias.
    async fn make_tap(
        &self,
        name: &str,
        alias: &str,
        wanted: &Wanted,
    ) -> anyhow::Result<NetDevice> {
        let tap = Tap::create(name)?;
        let device = netdev::by_name(&self.handle, name).await?;
        let mut device = device.ok_or_else(|| anyhow::anyhow!("it vanished"))?;
        if !wanted.of_host {
            link::quiet_ipv6(&device.name);
        }
        link::label(&self.handle, &device, alias, wanted.mtu).await?;
        tap.keep()?;
        device.mtu = wanted.mtu.into();
        Ok(device)
    }
}
