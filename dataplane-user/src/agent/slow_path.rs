//! The slow path's devices, queues and policy.

use super::{Agent, reconcile::tell};
use crate::{
    dataplane::{attach::Hooks, links::Device},
    netdev::{Inventory, NetDevice},
    policy::{Policy, Upcall, table_image::TableImage},
    ports::{
        ethtool,
        upcall::{self, UpcallPair},
    },
    slowpath::{directory::Directory, seats::Uplink},
};

impl Agent {
    /// Sees that packets can go to user space and back. Where they cannot, they are counted drops.
    pub(super) async fn follow_upcall(&mut self, seen: &Inventory, conditions: &mut Vec<String>) {
        match self.upcall_pair(seen).await {
            Ok(pair) => self.upcall = Some(pair),
            Err(error) => {
                conditions.push(format!("the upcall pair cannot be used: {error}"));
                self.upcall = None;
            }
        }
    }

    async fn upcall_pair(&mut self, seen: &Inventory) -> Result<UpcallPair, String> {
        let host = &self.settings.host;
        let pair = upcall::ensure(&self.netlink, host, seen).await;
        let pair = pair.map_err(|error| error.to_string())?;
        self.join_upcall(&pair).map_err(|error| error.to_string())?;
        let up = upcall::bring_up(&self.netlink, &pair).await;
        up.map_err(|error| error.to_string())?;
        Ok(pair)
    }

    fn join_upcall(&mut self, pair: &UpcallPair) -> Result<(), crate::dataplane::Error> {
        let (near, far) = (device(&pair.near), device(&pair.far));
        if self.dataplane.holds_upcall(near.ifindex, far.ifindex) {
            return Ok(());
        }
        self.dataplane.attach_upcall(&near, &far)
    }

    /// Sees that each queue has its worker, and removes from the kernel's table what nobody uses.
    pub(super) fn follow_queues(&mut self, conditions: &mut Vec<String>) {
        let uplinks = self.uplinks.values();
        let with_xdp = uplinks.filter(|uplink| uplink.hooks == Hooks::XdpTc);
        let uplinks: Vec<Uplink> = with_xdp
            .map(|uplink| Uplink {
                ifindex: uplink.device.ifindex,
                queues: ethtool::receive_queues(&uplink.device.name),
            })
            .collect();
        let pair = self.upcall.as_ref().map(|pair| pair.far.ifindex);
        let slow_path = &mut self.slow_path;
        match tokio::task::block_in_place(|| slow_path.seats.seat(pair, &uplinks)) {
            Ok(places) => {
                if let Err(error) = self.dataplane.place_sockets(places) {
                    conditions.push(error.to_string());
                }
            }
            Err(error) => {
                conditions.push(format!("cannot start a worker of the slow path: {error}"));
            }
        }
        for (seat, health) in self.slow_path.seats.health() {
            if health.mode.is_none() && !health.trouble.is_empty() {
                let place = format!("{}, queue {}", self.device_name(seat.ifindex), seat.queue);
                conditions.push(format!(
                    "slow path has no socket at {place}: {}",
                    health.trouble
                ));
            }
        }
        let slow_path = &mut self.slow_path;
        if let Err(error) = tokio::task::block_in_place(|| slow_path.age()) {
            tell(conditions, error.to_string());
        }
    }

    /// The ends of the upcall pair.
    pub(super) fn upcall_devices(&self) -> impl Iterator<Item = u32> {
        let pair = self.upcall.iter();
        pair.flat_map(|pair| [pair.near.ifindex, pair.far.ifindex])
    }

    /// What the programs shall know of the way to user space.
    pub(super) fn upcall_facts(&self) -> Upcall {
        let limits = self.slow_path.limits();
        Upcall {
            ifindex: self.upcall.as_ref().map_or(0, |pair| pair.near.ifindex),
            interval: limits.punt_interval(),
            burst: limits.punt_burst,
        }
    }

    /// Lets the slow path decide by these tables.
    pub(super) fn follow_directory(&mut self, policy: &Policy, target: TableImage) -> Vec<String> {
        let (slow_path, directory) = (
            &mut self.slow_path,
            Directory::new(policy, &self.settings.host, target),
        );
        match tokio::task::block_in_place(|| slow_path.follow(directory)) {
            Ok(0) => Vec::new(),
            Ok(changed) => {
                tracing::debug!("{changed} records in use changed");
                Vec::new()
            }
            Err(error) => vec![format!("{error} (records on demand left out)")],
        }
    }

    /// Takes the upcall pair away, with whatever else the slow path has.
    pub(super) async fn unload_slow_path(&mut self, seen: &Inventory) -> Vec<String> {
        self.slow_path.seats.stop();
        let near = crate::ports::names::upcall(&self.settings.host, "near");
        let mut removed = Vec::new();
        if let Some(near) = seen.by_alias(&near) {
            match upcall::remove(&self.netlink, near.ifindex).await {
                Ok(()) => removed.push(near.name.clone()),
                Err(error) => tracing::warn!("interface {}: cannot remove it: {error}", near.name),
            }
        }
        self.upcall = None;
        removed
    }
}

fn device(end: &NetDevice) -> Device {
    Device {
        name: end.name.clone(),
        ifindex: end.ifindex,
    }
}
