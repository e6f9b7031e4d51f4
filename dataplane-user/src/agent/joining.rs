//! This host's ports: each with its device, and its programs on that.

use std::collections::BTreeMap;

use dataplane_common::abi::vport::Vport;

use super::{
    Agent,
    wanted::{ours, provider_addresses, wanted},
};
use crate::{
    dataplane::{Error, links::Device},
    netdev::Inventory,
    policy::{AttachedPort, Policy, PortKey, model::Port},
    ports::{Attachment, State, Trouble, Wanted, names::printable},
};

impl Agent {
    pub(super) async fn follow_ports(
        &mut self,
        policy: &Policy,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) {
        let (mtu, host) = (self.tenant_mtu(), self.settings.host.clone());
        let uplinks = self.uplink_devices();
        let named = ours(policy, &host).filter_map(|(_, port)| port.attach.host_device());
        let named = named.map(str::to_owned).collect();
        let addresses = provider_addresses(policy, &host);
        self.ports.reserve(uplinks, addresses, named);
        let mut states = BTreeMap::new();
        for (key, port) in ours(policy, &host) {
            let Some((_, subnet)) = policy.subnet(port.vsid) else {
                continue;
            };
            let wanted = wanted(port, subnet, mtu);
            let state = match self.device(key, &wanted, seen, conditions).await {
                Ok(attachment) => self.join(key, attachment, port, conditions).await,
                Err(trouble) => Err(trouble),
            };
            let state = state.map_or_else(
                |why| State::Pending(printable(&why.to_string())),
                State::Ready,
            );
            if let State::Pending(why) = &state {
                conditions.push(format!("port {key} is pending: {why}"));
            }
            states.insert(key.clone(), state);
        }
        self.states = states;
    }

    /// A port's device. Fail static: one that forwards and cannot be made as it shall be, or
    /// not even be looked at, goes on as it was.
    async fn device(
        &mut self,
        key: &PortKey,
        wanted: &Wanted,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) -> Result<Attachment, Trouble> {
        let done = self.ports.ensure(key, wanted, seen).await;
        if let Err(trouble @ Trouble::Failed(_)) = &done
            && let Some(had) = self.forwards(key)
            && let Some(former) = self.ports.former(key, &wanted.attach, &had, seen).await
        {
            conditions.push(goes_on(key, trouble));
            return Ok(former);
        }
        done
    }

    /// Attaches a port's programs, and only then brings its device up.
    async fn join(
        &mut self,
        key: &PortKey,
        attachment: Attachment,
        port: &Port,
        conditions: &mut Vec<String>,
    ) -> Result<Attachment, Trouble> {
        let device = Device {
            name: attachment.interface.clone(),
            ifindex: attachment.ifindex,
        };
        let done = match self.attach_once(key, &device, port) {
            Ok(()) => self.ports.bring_up(&attachment).await,
            Err(error @ Error::InUse { .. }) => Err(Trouble::Absent(error.to_string())),
            Err(error) => Err(Trouble::Failed(error.to_string())),
        };
        match done {
            Err(trouble @ Trouble::Failed(_)) if self.is_joined(key, &device, port) => {
                conditions.push(goes_on(key, &trouble));
                Ok(attachment)
            }
            done => done.map(|()| attachment),
        }
    }

    /// Attaches a port's programs unless they are: the device or the mode is new, or somebody
    /// detached them.
    fn attach_once(&mut self, key: &PortKey, device: &Device, port: &Port) -> Result<(), Error> {
        let now = (device.ifindex, port.mode);
        let held = self.dataplane.holds_port(device.ifindex, port.mode);
        if self.attached.get(key) != Some(&now) || !held {
            self.dataplane.attach_port(device, port.mode)?;
            self.attached.insert(key.clone(), now);
        }
        Ok(())
    }

    /// Whether a port forwards on this device, in this mode as far as this nved knows.
    fn is_joined(&self, key: &PortKey, device: &Device, port: &Port) -> bool {
        let now = (device.ifindex, port.mode);
        let had = self.forwards(key);
        had.is_some_and(|had| had.ifindex == device.ifindex)
            && self.attached.get(key).is_none_or(|was| *was == now)
    }

    /// What the kernel's tables have of a port.
    fn forwards(&self, key: &PortKey) -> Option<AttachedPort> {
        let slot = self.ids.slot_of(key)?;
        let mut vports = self.image.vports.iter();
        let (ifindex, vport) = vports.find(|(_, vport)| vport.slot == slot)?;
        Some(AttachedPort {
            ifindex: *ifindex,
            mtu: vport.mtu,
            peer: vport.flags & Vport::PEER != 0,
        })
    }
}

fn goes_on(key: &PortKey, trouble: &Trouble) -> String {
    format!("port {key}: {trouble}; it goes on as it was")
}
