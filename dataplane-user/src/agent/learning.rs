//! Records of addresses that ports of this host were seen to use or were given: made, and withdrawn.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dataplane_common::id::{Mac, Vsid};

use super::{
    Agent,
    wanted::{ours, provider_addresses},
};
use crate::{
    netdev::Inventory,
    policy::{
        Key, Policy, PortKey,
        document::{
            ApiVersion, Document, Envelope, LookupRecordSpec, MacAddress, Metadata, RecordType,
        },
        model::Port,
    },
    ports::State,
    slowpath::learn::Found,
    store::objects::{self, ObjectError, Stored},
};

/// The label that says which host learned a record; no other host withdraws it.
pub(super) const LABEL: &str = "learned-by";
/// How long a port is down before its addresses are withdrawn: longer than a flap, or than a VM
/// that starts anew needs its device for.
const GRACE: Duration = Duration::from_secs(3);
/// After a failure, the next attempt to withdraw.
const PAUSE: Duration = Duration::from_secs(5);

/// What is known of records that this host made.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// They as the store has them, of which reading of it.
    records: (u64, Vec<Document>),
    /// Ports that have such records and are down, and since when.
    down: BTreeMap<PortKey, Instant>,
    /// When leases end of which this nved has heard.
    leases: BTreeMap<Key, Instant>,
    /// Not to be tried before.
    not_before: Option<Instant>,
}

impl Learned {
    /// Reads the records anew if there are others.
    fn refresh(&mut self, stored: &Stored, version: u64, host: &str) {
        if self.records.0 == version {
            return;
        }
        let documents = stored.records.with_extras().map(|record| record.document());
        let own = documents.filter(|document| learned_by(document) == Some(host));
        self.records = (version, own.collect());
        let keys: BTreeSet<Key> = self.records.1.iter().map(Key::of).collect();
        self.leases.retain(|key, _| keys.contains(key));
    }

    /// Takes note of a lease: it makes a record that it led to last so long, and a later one makes
    /// that longer, never shorter.
    fn note(&mut self, key: Key, seconds: u32, created: bool, now: Instant) {
        let until = now + Duration::from_secs(seconds.into());
        if seconds == u32::MAX {
            self.leases.remove(&key);
        } else if created {
            self.leases.insert(key, until);
        } else if let Some(last) = self.leases.get_mut(&key) {
            *last = until.max(*last);
        }
    }

    /// The records that are of no use: `owner` has the port that a record is of, if it still is,
    /// and whether that is up.
    fn outdated<'p>(
        &mut self,
        owner: impl Fn(&Document) -> Option<(&'p PortKey, bool)>,
        now: Instant,
    ) -> Vec<Document> {
        let mut down = BTreeMap::new();
        let mut gone = Vec::new();
        for record in &self.records.1 {
            let over = self.leases.get(&Key::of(record));
            let over = over.is_some_and(|until| *until <= now);
            let lost = owner(record).is_none_or(|(port, up)| {
                let since = || *self.down.get(port).unwrap_or(&now);
                !up && now
                    .saturating_duration_since(*down.entry(port.clone()).or_insert_with(since))
                    >= GRACE
            });
            if over || lost {
                gone.push(record.clone());
            }
        }
        self.down = down;
        gone
    }
}

/// The host that learned a record.
fn learned_by(document: &Document) -> Option<&str> {
    let Document::LookupRecord(record) = document else {
        return None;
    };
    let learned = record.spec.record_type == RecordType::Dynamic;
    let host = record.metadata.labels.get(LABEL);
    host.filter(|_| learned).map(String::as_str)
}

/// The port of the host that a record of it is still of.
fn owner<'p>(policy: &'p Policy, host: &'p str, record: &Document) -> Option<&'p PortKey> {
    let Document::LookupRecord(record) = record else {
        return None;
    };
    let spec = &record.spec;
    let vsid = Vsid::new(spec.virtual_subnet_id)?;
    let first = provider_addresses(policy, host).into_iter().next();
    let (key, _) = learner(policy, host, vsid, spec.mac_address.0)?;
    let same = first == Some(spec.provider_address) && spec.vm_name.as_ref() == Some(&key.name);
    same.then_some(key)
}

/// The port of the host that has the MAC and learns.
fn learner<'p>(
    policy: &'p Policy,
    host: &'p str,
    vsid: Vsid,
    mac: Mac,
) -> Option<(&'p PortKey, &'p Port)> {
    let mut ports = ours(policy, host);
    ports.find(|(_, port)| {
        port.vsid == vsid && port.mac == mac && port.record_type == RecordType::L2Only
    })
}

/// The record of a claim.
fn record(policy: &Policy, host: &str, found: &Found) -> Option<Document> {
    let vsid = Vsid::new(found.vsid)?;
    let (port, learner) = learner(policy, host, vsid, found.mac)?;
    let (_, subnet) = policy.subnet(vsid)?;
    let first: Option<IpAddr> = provider_addresses(policy, host).into_iter().next();
    Some(Document::LookupRecord(Envelope {
        api_version: ApiVersion::V1,
        metadata: Metadata {
            vm_network: Some(port.vm_network.clone()),
            labels: [(LABEL.to_owned(), host.to_owned())].into(),
            ..Metadata::default()
        },
        spec: LookupRecordSpec {
            virtual_subnet_id: found.vsid,
            customer_address: found.ca,
            mac_address: MacAddress(found.mac),
            provider_address: first?,
            // A record without one has the subnet's.
            rule: (learner.rule != subnet.rule).then_some(learner.rule),
            use_vm_mac_address: false,
            record_type: RecordType::Dynamic,
            vm_name: Some(port.name.clone()),
            context: None,
        },
    }))
}

impl Agent {
    /// Makes records of what ports claim. The store tells of them as of any other change.
    pub(super) async fn learn(&mut self, claims: Vec<Found>) {
        let (policy, host) = (self.source.policy.clone(), &self.settings.host);
        let records = claims
            .iter()
            .filter_map(|found| record(&policy, host, found));
        let created: BTreeSet<Key> = self.create(records.collect()).await.into_iter().collect();
        for key in &created {
            tracing::info!("{key} was learned");
        }
        for found in claims {
            let key = Key::LookupRecord(found.vsid, found.ca);
            if let Some(seconds) = found.lease {
                let new = created.contains(&key);
                self.learned.note(key, seconds, new, Instant::now());
            }
        }
    }

    /// All of them together; one at a time if the policy does not allow one of them.
    async fn create(&self, records: Vec<Document>) -> Vec<Key> {
        let single = records.len() < 2;
        match objects::create(&*self.store, records.clone()).await {
            Ok(created) => created,
            Err(ObjectError::Invalid(_)) if !single => {
                let mut created = Vec::new();
                for record in records {
                    created.extend(Box::pin(self.create(vec![record])).await);
                }
                created
            }
            Err(error) => {
                let keys = records.iter().map(|record| Key::of(record).to_string());
                let keys = keys.collect::<Vec<_>>().join(", ");
                tracing::warn!("{keys} cannot be learned: {error}");
                Vec::new()
            }
        }
    }

    /// Withdraws this host's learned records of ports that are gone, or down for a while, and those
    /// whose lease is over.
    pub(super) async fn withdraw(
        &mut self,
        policy: &Arc<Policy>,
        seen: &Inventory,
        conditions: &mut Vec<String>,
    ) {
        let (now, host) = (Instant::now(), self.settings.host.clone());
        let (stored, version) = (self.source.stored.clone(), self.source.version);
        self.learned.refresh(&stored, version, &host);
        let states = &self.states;
        let up = |port: &PortKey| match states.get(port) {
            Some(State::Ready(attachment)) => {
                let device = seen.by_index(attachment.ifindex);
                // One that was made in this round is not in the list yet.
                device.is_none_or(|device| device.up && device.carrier)
            }
            Some(State::Pending(_)) | None => false,
        };
        let owner = |record: &Document| {
            let port = owner(policy, &host, record)?;
            Some((port, up(port)))
        };
        let gone = self.learned.outdated(owner, now);
        let waits = self.learned.not_before.is_some_and(|then| now < then);
        if gone.is_empty() || waits {
            return;
        }
        match objects::withdraw(&*self.store, &gone).await {
            // The store has not told of it yet.
            Ok(0) => {}
            Ok(count) => {
                self.learned.not_before = None;
                tracing::info!("learned records withdrawn: {count}");
            }
            Err(error) => {
                self.learned.not_before = Some(now + PAUSE);
                conditions.push(format!("learned records cannot be withdrawn: {error}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
