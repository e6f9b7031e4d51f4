//! This host's ports: each with its device, and its programs on that.

use std::collections::BTreeMap;

use dataplane_common::abi::vport::Vport;

use super::{
    Agent,
    mtu::too_small,
    wanted::{attachments, ours, ours_plain, provider_addresses, wanted},
};
use crate::{
    dataplane::{Error, links::Device},
    netdev::Inventory,
    policy::{AttachedPort, Policy, PortKey, document::PortMode},
    ports::{Attachment, State, Trouble, Wanted, names::printable},
};

impl Agent {
    pub(super) async fn follow_ports(
        &mut self,
        policy: &Policy,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) {
        let (mtus, host) = (self.tenant_mtus(policy), self.settings.host.clone());
        let uplinks = self.uplink_devices();
        let named = attachments(policy, &host).filter_map(|(_, attach)| attach.host_device());
        let named = named.map(str::to_owned).collect();
        let addresses = provider_addresses(policy, &host);
        let reserved = uplinks.into_iter().chain(self.plain.devices()).collect();
        self.ports.reserve(reserved, addresses, named);
        let mut states = BTreeMap::new();
        for (key, port) in ours(policy, &host) {
            let Some((network, subnet)) = policy.subnet(port.vsid) else {
                continue;
            };
            let wanted = wanted(port, subnet, mtus.of(network.rdid, port.rule));
            let state = self
                .follow_port(key, &wanted, port.mode, seen, conditions)
                .await;
            let state = stated(key, state, conditions);
            if let State::Ready(attachment) = &state {
                let narrow = too_small(attachment.mtu, &port.addresses);
                conditions.extend(narrow.map(|why| format!("port {key}: {why}")));
            }
            states.insert(key.clone(), state);
        }
        for (key, port) in ours_plain(policy, &host) {
            let Some(network) = policy.networks.get(&port.network) else {
                continue;
            };
            let wanted = self.wanted_plain(port, &network.isolation, seen);
            // XDP would leave all of its frames to TC.
            let state = self
                .follow_port(key, &wanted, PortMode::Tc, seen, conditions)
                .await;
            let state = state.and_then(|attachment| {
                let link = self.plain.missing(&self.links(), &network.isolation);
                link.map_or(Ok(attachment), |why| Err(Trouble::Absent(why)))
            });
            states.insert(key.clone(), stated(key, state, conditions));
        }
        self.states = states;
    }

    async fn follow_port(
        &mut self,
        key: &PortKey,
        wanted: &Wanted,
        mode: PortMode,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) -> Result<Attachment, Trouble> {
        let attachment = self.device(key, wanted, seen, conditions).await?;
        self.join(key, attachment, mode, conditions).await
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
        mode: PortMode,
        conditions: &mut Vec<String>,
    ) -> Result<Attachment, Trouble> {
        let device = Device {
            name: attachment.interface.clone(),
            ifindex: attachment.ifindex,
        };
        let done = match self.attach_once(key, &device, mode) {
            Ok(()) => self.ports.bring_up(&attachment).await,
            Err(error @ Error::InUse { .. }) => Err(Trouble::Absent(error.to_string())),
            Err(error) => Err(Trouble::Failed(error.to_string())),
        };
        match done {
            Err(trouble @ Trouble::Failed(_)) if self.is_joined(key, &device, mode) => {
                conditions.push(goes_on(key, &trouble));
                Ok(attachment)
            }
            done => done.map(|()| attachment),
        }
    }

    /// Attaches a port's programs unless they are: the device or the mode is new, or somebody
    /// detached them.
    fn attach_once(&mut self, key: &PortKey, device: &Device, mode: PortMode) -> Result<(), Error> {
        let now = (device.ifindex, mode);
        let held = self.dataplane.holds_port(device.ifindex, mode);
        if self.attached.get(key) != Some(&now) || !held {
            self.dataplane.attach_port(device, mode)?;
            self.attached.insert(key.clone(), now);
        }
        Ok(())
    }

    /// Whether a port forwards on this device, in this mode as far as this nved knows.
    fn is_joined(&self, key: &PortKey, device: &Device, mode: PortMode) -> bool {
        let now = (device.ifindex, mode);
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

/// What is said of a port.
fn stated(
    key: &PortKey,
    state: Result<Attachment, Trouble>,
    conditions: &mut Vec<String>,
) -> State {
    let pending = |why: Trouble| State::Pending(printable(&why.to_string()));
    let state = state.map_or_else(pending, State::Ready);
    if let State::Pending(why) = &state {
        conditions.push(format!("port {key} is pending: {why}"));
    }
    state
}

fn goes_on(key: &PortKey, trouble: &Trouble) -> String {
    format!("port {key}: {trouble}; it goes on as it was")
}
