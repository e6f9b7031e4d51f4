//! One round: look, compile, commit, tell.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    Agent, Ended, View,
    wanted::{attach_of, attachments, own_addresses},
};
use crate::{
    dataplane::{
        commit::{Failure, Records, Way},
        records::Refused,
    },
    netdev::Inventory,
    policy::{
        AttachedPort, CompileError, Facts, MapOp, Policy, Scope, compile, diff_but_records,
        records::RecordTable, table_image::TableImage,
    },
    ports::{State, names::printable},
    store::objects::save_ids,
    underlay,
};

impl Agent {
    pub(super) async fn reconcile(&mut self) {
        let started = Instant::now();
        let before = (self.source.version, self.generation);
        if self.store_changed.swap(false, Ordering::Relaxed)
            && !self.source.refresh(&*self.store, &self.settings).await
        {
            self.store_changed.store(true, Ordering::Relaxed);
        }
        let mut conditions = self.source.conditions.clone();
        conditions.extend(self.store.trouble());
        if !self.tend(&mut conditions) {
            return;
        }
        match self.look().await {
            Ok(seen) => {
                self.meet(&seen, &mut conditions).await;
                if self.known {
                    self.round(&seen, &mut conditions).await;
                } else {
                    // Fail static: without a policy for this host, what the kernel holds stays.
                    self.follow_uplinks(&seen, &mut conditions).await;
                    self.follow_presence(&seen, &mut conditions).await;
                }
            }
            Err(error) => conditions.push(format!("cannot list interfaces: {error}")),
        }
        let shown = conditions.iter().map(|told| printable(told)).collect();
        let view = Arc::new(View::of(self, shown));
        // With the former view goes the former policy.
        self.publish.send_replace(view);
        if before != (self.source.version, self.generation) {
            crate::memory::give_back();
        }
        self.took = started.elapsed();
    }

    /// Looks after the tables of records and stations; whether programs still read these. Two that
    /// write would undo each other's work: this one ends, and loudly.
    fn tend(&mut self, conditions: &mut Vec<String>) -> bool {
        let tended = tokio::task::block_in_place(|| self.dataplane.tend());
        match tended {
            Ok(()) => true,
            Err(untended) if matches!(untended.refused, Refused::Foreign) => {
                self.ended = Some(Ended::Table(untended));
                false
            }
            Err(untended) => {
                conditions.push(untended.to_string());
                true
            }
        }
    }

    /// The devices and addresses that are there. Of a device that forwards or has programs of
    /// ours no list alone says that it is gone.
    pub(super) async fn look(&self) -> Result<Inventory, rtnetlink::Error> {
        let mut seen = Inventory::read(&self.netlink).await?;
        // Pins that cannot be listed are not detached either.
        let pinned = self.dataplane.devices().unwrap_or_default();
        let forward = self.image.vports.keys().copied();
        let known: BTreeSet<u32> = forward.chain(pinned).collect();
        seen.complete(&self.netlink, known).await?;
        Ok(seen)
    }

    async fn round(&mut self, seen: &Inventory, conditions: &mut Vec<String>) {
        let policy = self.source.policy.clone();
        self.follow_uplinks(seen, conditions).await;
        self.follow_underlay(&policy, seen, conditions).await;
        self.follow_links(&policy, seen, conditions).await;
        self.follow_ports(&policy, seen, conditions).await;
        self.withdraw(&policy, seen, conditions).await;
        self.follow_redirects(&policy, seen, conditions).await;
        self.follow_upcall(seen, conditions).await;
        self.commit(&policy, conditions).await;
        self.follow_presence(seen, conditions).await;
        if self.slow_path.is_ready() {
            self.follow_queues(conditions);
            self.slow_path.advertise();
        }
        self.clean_up(&policy, seen, conditions).await;
    }

    async fn follow_underlay(
        &mut self,
        policy: &Policy,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) {
        self.path_mtus.expire(Instant::now());
        let host = &self.settings.host;
        // An uplink that has another name now is still the one that the policy names.
        let place = |name: &str| Some(self.uplinks.get(name)?.device.ifindex);
        let own = policy.hosts.get(host).map_or_else(Vec::new, |host| {
            own_addresses(host, seen, place, conditions)
        });
        let scope = Scope::of(policy, host);
        let question = underlay::Question {
            pas: &scope.pas,
            own: &own,
            ports: &scope.rewritten,
            uplinks: &self.uplink_devices(),
            seen,
            path_mtus: &self.path_mtus,
        };
        match self.resolver.resolve(&question, &self.reach).await {
            Ok(reach) => self.reach = reach,
            Err(error) => conditions.push(format!("cannot read routes and neighbours: {error}")),
        }
        let told = self.reach.values().map(|reach| reach.condition.clone());
        conditions.extend(told.filter(|condition| !condition.is_empty()));
        conditions.extend(self.resolver.crowded());
    }

    async fn commit(&mut self, policy: &Policy, conditions: &mut Vec<String>) {
        let facts = self.facts();
        let now = (self.source.version, facts);
        self.keep_ids(conditions).await;
        if self.compiled.as_ref() == Some(&now) {
            return;
        }
        let host = self.settings.host.clone();
        let target = match compile(policy, &host, &now.1, &mut self.ids) {
            Ok(target) => target,
            // A policy that leaves this host out removes what it had here.
            Err(CompileError::UnknownHost { .. }) => {
                conditions.push(self.unknown_host());
                TableImage::default()
            }
            Err(error) => return conditions.push(error.to_string()),
        };
        self.keep_ids(conditions).await;
        self.write(policy, target);
        if self.failures.is_empty() && policy.hosts.contains_key(&host) {
            self.release(policy, &host, conditions).await;
            self.compiled = Some(now);
        }
        conditions.extend(self.failures.iter().cloned());
    }

    /// Makes the kernel's tables the target, as far as they take it.
    ///
    /// The slow path decides by it once its next hops are there, and before a port can ask about
    /// anything: so records in use find their next hops, and no port is unknown to it. What goes
    /// goes last.
    fn write(&mut self, policy: &Policy, target: TableImage) {
        let prepared = self.slow_path.prepare(&mut self.image, &target);
        let failed = prepared.err().map(|error| error.to_string());
        self.failures = failed.into_iter().collect();
        let ops = diff_but_records(&self.image, &target);
        let (make, remove) = ops.split_at(ops.partition_point(|op| !op.removes()));
        let (first, ports) = make.split_at(make.partition_point(|op| !op.is_of_a_port()));
        let (remove, last) = remove.split_at(remove.partition_point(|op| !op.removes_an_address()));
        let wanted = target.lookup.clone();
        let mut failures = self.carry_out(first);
        let mut records = Records::default();
        failures.extend(self.carry_out_records(&mut records, &wanted, Way::Put));
        failures.extend(self.follow_directory(policy, target));
        for ops in [ports, remove] {
            failures.extend(self.carry_out(ops));
        }
        failures.extend(self.carry_out_records(&mut records, &wanted, Way::Delete));
        records.settle(&mut self.image.lookup, &wanted);
        failures.extend(self.carry_out(last));
        self.failures.extend(failures);
        self.slow_path.settle(&self.image);
        let operations = ops.len() + records.operations();
        if operations != 0 {
            self.generation += 1;
            tracing::debug!("generation {}: {operations} operations", self.generation);
        }
    }

    fn carry_out_records(
        &mut self,
        records: &mut Records,
        wanted: &RecordTable,
        way: Way,
    ) -> Vec<String> {
        let (dataplane, held) = (&mut self.dataplane, &self.image.lookup);
        let failures =
            tokio::task::block_in_place(|| dataplane.commit_records(records, (held, wanted), way));
        told(failures)
    }

    fn carry_out(&mut self, ops: &[MapOp]) -> Vec<String> {
        if ops.is_empty() {
            return Vec::new();
        }
        let (dataplane, image) = (&mut self.dataplane, &mut self.image);
        let failures = tokio::task::block_in_place(|| dataplane.commit(image, ops));
        told(failures)
    }

    /// Gives back the numbers of what is gone.
    async fn release(&mut self, policy: &Policy, host: &str, conditions: &mut Vec<String>) {
        for slot in self.ids.release(policy, host) {
            self.slow_path.counts().clear(slot);
            self.slow_path.shared().learning.forget(slot);
            if let Err(error) = self.dataplane.clear(slot) {
                conditions.push(error.to_string());
            }
        }
        self.keep_ids(conditions).await;
    }

    async fn keep_ids(&mut self, conditions: &mut Vec<String>) {
        let now = (self.source.store, self.ids.clone());
        if self.saved_ids.as_ref() == Some(&now) {
            return;
        }
        match save_ids(&*self.store, &self.settings.host, &self.ids).await {
            Ok(()) => self.saved_ids = Some(now),
            Err(error) => tell(conditions, error.to_string()),
        }
    }

    /// Removes devices of ports that are gone, and then detaches from what is no longer in use:
    /// without its program a port would reach the host's own network stack.
    async fn clean_up(&mut self, policy: &Policy, seen: &Inventory, conditions: &mut Vec<String>) {
        let uplinks = self.uplink_devices().into_iter();
        let ports = self.states.iter().filter_map(|(key, state)| match state {
            State::Ready(attachment) => Some(attachment.ifindex),
            State::Pending(_) => self.ports.guarded(key, attach_of(policy, key)?, seen),
        });
        let keep = uplinks.chain(ports).chain(self.upcall_devices());
        let keep = keep.chain(self.plain.devices());
        let keep: BTreeSet<u32> = keep.collect();
        let wanted = attachments(policy, &self.settings.host);
        let mut removed = self.ports.remove_others(wanted, seen).await;
        match self.dataplane.devices() {
            Ok(pinned) => {
                let unused: BTreeSet<u32> = pinned.difference(&keep).copied().collect();
                removed.extend(self.ports.remove_of_other_hosts(&unused, seen).await);
            }
            Err(error) => conditions.push(error.to_string()),
        }
        for name in removed {
            tracing::info!("removed interface {name}");
        }
        match self.dataplane.detach_others(&keep) {
            Ok(gone) => self.resolver.leave(gone),
            Err(error) => conditions.push(error.to_string()),
        }
        let states = &self.states;
        self.attached
            .retain(|key, (ifindex, _)| states.contains_key(key) && keep.contains(ifindex));
    }

    fn facts(&self) -> Facts {
        let ports = self.states.iter().filter_map(|(key, state)| match state {
            State::Ready(attachment) => Some((
                key.clone(),
                AttachedPort {
                    ifindex: attachment.ifindex,
                    mtu: attachment.mtu,
                    peer: attachment.peer,
                },
            )),
            State::Pending(_) => None,
        });
        let hops = self.reach.iter().map(|(pa, reach)| (*pa, reach.hop));
        Facts {
            ports: ports.collect(),
            next_hops: hops.collect(),
            upcall: self.upcall_facts(),
            links: self.links(),
        }
    }
}

fn told(failures: Vec<Failure>) -> Vec<String> {
    let failures = failures.into_iter();
    let told = failures.map(|f| format!("{} ({} entries left out)", f.reason, f.count));
    told.collect()
}

/// Adds a condition unless it is told already.
pub(super) fn tell(conditions: &mut Vec<String>, condition: String) {
    if !conditions.contains(&condition) {
        conditions.push(condition);
    }
}
