//! What others ask of the agent, and what it answers.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Instant};

use tokio::sync::oneshot;

use super::Agent;
use crate::{
    control::protocol::{CounterCount, DropCount, Restarted, Unloaded, UpcallCount},
    dataplane::{self, stats::UPLINK},
};

/// What others ask of the agent.
#[derive(Debug)]
pub enum Command {
    /// Reconcile now; answered when it is done.
    Reconcile(oneshot::Sender<()>),
    /// Read the drops.
    Drops(oneshot::Sender<Result<Vec<DropCount>, String>>),
    /// Read the counters.
    Counters(oneshot::Sender<Result<Vec<CounterCount>, String>>),
    /// Read what the slow path did.
    Upcalls(oneshot::Sender<Vec<UpcallCount>>),
    /// End every worker of the slow path; others take their places.
    RestartSlowPath(oneshot::Sender<Restarted>),
    /// Take everything out of the kernel and stop.
    Unload(oneshot::Sender<Result<Unloaded, String>>),
}

impl Agent {
    /// Whether that was the end.
    pub(super) async fn execute(&mut self, command: Command) -> bool {
        // Whoever asked may be gone; then nobody misses the answer.
        match command {
            Command::Reconcile(done) => {
                self.store_changed.store(true, Ordering::Relaxed);
                self.reconcile().await;
                let _ = done.send(());
                false
            }
            Command::Drops(reply) => {
                let _ = reply.send(self.drops().map_err(|error| error.to_string()));
                false
            }
            Command::Counters(reply) => {
                let _ = reply.send(self.counters().map_err(|error| error.to_string()));
                false
            }
            Command::Upcalls(reply) => {
                let _ = reply.send(self.upcalls());
                false
            }
            Command::RestartSlowPath(reply) => {
                let workers = self.slow_path.seats.restart();
                tracing::info!("workers of the slow path restart: {workers}");
                let _ = reply.send(Restarted { workers });
                false
            }
            Command::Unload(reply) => {
                let unloaded = self.unload().await;
                let end = unloaded.is_ok();
                let _ = reply.send(unloaded);
                end
            }
        }
    }

    fn drops(&self) -> Result<Vec<DropCount>, dataplane::Error> {
        let slots = self.slots().into_iter();
        let items = slots.map(|(slot, port)| {
            let mut items = self.dataplane.drops(slot, &port)?;
            self.add_drops(&mut items, (slot, &port));
            Ok(items)
        });
        Ok(items
            .collect::<Result<Vec<_>, dataplane::Error>>()?
            .concat())
    }

    fn counters(&self) -> Result<Vec<CounterCount>, dataplane::Error> {
        let slots = self.slots().into_iter();
        let items = slots.map(|(slot, port)| self.dataplane.counters(slot, &port));
        Ok(items.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Slots in use and whose they are.
    fn slots(&self) -> BTreeMap<u32, String> {
        let used = self.image.vports.values().map(|vport| vport.slot);
        let ports = used.filter_map(|slot| Some((slot, self.ids.port_in(slot)?.to_owned())));
        let uplink = (0, UPLINK.to_owned());
        std::iter::once(uplink).chain(ports).collect()
    }

    async fn unload(&mut self) -> Result<Unloaded, String> {
        let seen = self.look().await;
        let seen = seen.map_err(|error| format!("cannot list interfaces: {error}"))?;
        let started = Instant::now();
        // The devices first: without its program a port would reach the host's own stack.
        let pinned = self
            .dataplane
            .devices()
            .map_err(|error| error.to_string())?;
        let mut devices = self.ports.remove_others(std::iter::empty(), &seen).await;
        devices.extend(self.unload_slow_path(&seen).await);
        devices.extend(self.ports.remove_of_other_hosts(&pinned, &seen).await);
        let removed = self
            .dataplane
            .unload(|ifindex| Some(seen.by_index(ifindex)?.name.clone()))
            .map_err(|error| error.to_string())?;
        self.resolver.leave(pinned);
        self.restore_promiscuity(&seen).await;
        self.leave_presence().await;
        if let Err(error) = self.resolver.unload(self.uplink_devices()).await {
            tracing::warn!("neighbours of the underlay stay managed: {error}");
        }
        tracing::info!("unloaded in {:?}", started.elapsed());
        Ok(Unloaded {
            detached: removed.detached,
            pins: removed.pins,
            devices,
        })
    }
}
