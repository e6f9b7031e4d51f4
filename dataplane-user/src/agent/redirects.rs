//! Devices that XDP programs redirect into.

use crate::{
    dataplane::attach::Hooks,
    netdev::{Inventory, Kind},
    policy::{Policy, document::PortMode},
    ports::{State, napi::Target},
};

use super::Agent;

impl Agent {
    /// Sees that what XDP programs redirect arrives, and says where it does not.
    pub(super) async fn follow_redirects(
        &mut self,
        policy: &Policy,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) {
        let targets = self.targets(policy, seen);
        let alive = targets.iter().filter(|target| target.device.carrier);
        let indexes = alive.map(|target| target.device.ifindex);
        if self.napi.due(indexes) {
            self.napi.look(targets).await;
        }
        conditions.extend(self.napi.faults());
    }

    /// The veths among them: ports, for programs on uplinks and on other ports; uplinks, for
    /// programs on ports.
    fn targets(&self, policy: &Policy, seen: &Inventory) -> Vec<Target> {
        let mut attached = self.attached.values();
        let from_ports = attached.any(|(_, mode)| *mode == PortMode::Xdp);
        let mut uplinks = self.uplinks.values();
        let from_uplinks = uplinks.any(|uplink| uplink.hooks == Hooks::XdpTc);
        let target = |owner: String, ifindex: u32, netns: Option<String>| {
            let device = seen
                .by_index(ifindex)
                .filter(|device| device.kind == Kind::Veth)?;
            Some(Target {
                owner,
                device: device.clone(),
                netns,
            })
        };
        let ports = self.states.iter().filter_map(|(key, state)| {
            let State::Ready(attachment) = state else {
                return None;
            };
            let netns = policy.ports.get(key)?.attach.netns.clone();
            target(format!("port {key}"), attachment.ifindex, netns)
        });
        let uplinks = self.uplinks.values().filter_map(|uplink| {
            let device = &uplink.device;
            target(format!("uplink {}", device.name), device.ifindex, None)
        });
        let ports = ports.filter(|_| from_ports || from_uplinks);
        ports.chain(uplinks.filter(|_| from_ports)).collect()
    }
}
