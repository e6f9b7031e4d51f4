//! Every rule about names, numbers and references, all faults at once.
//!
//! A file for each kind. A fault's follow-ups are left out: a port in a subnet
//! that is itself at fault gets no fault for that. Maps find the other party of a
//! conflict, so the work grows with the number of documents, not its square.

mod address;
mod ends;
mod host;
mod names;
mod network;
mod port;
mod record;
mod rewrite;
mod route;
mod stations;
mod subnet;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{
    document::{Document, VirtualSubnetSpec},
    fault::Fault,
    key::Key,
    model::Policy,
    records::{Batch, Records},
};

/// A document and its number in the request; `None` for a stored one.
pub type Numbered = (Option<usize>, Document);

/// Numbers the documents of a request from 0.
pub fn numbered(documents: impl IntoIterator<Item = Document>) -> Vec<Numbered> {
    let documents = documents.into_iter().enumerate();
    documents.map(|(i, d)| (Some(i), d)).collect()
}

/// What would be stored after `applied`: stored documents that it does not
/// replace, then those of the request (also two of one name, for `validate` to find).
pub fn merge(stored: Vec<Document>, applied: Vec<Document>) -> Vec<Numbered> {
    let replaced: HashSet<Key> = applied.iter().map(Key::of).collect();
    let kept = stored
        .into_iter()
        .filter(|d| !replaced.contains(&Key::of(d)));
    let kept = kept.map(|document| (None, document));
    kept.chain(numbered(applied)).collect()
}

/// Checks every rule of documents without faults, those of very many stations' records apart. `None`:
/// something is at fault, and [`validate`] with all documents tells what.
pub fn validate_with(documents: &[Numbered], records: &Records) -> Option<Policy> {
    let checker = checked(documents);
    if !checker.faults.is_empty()
        || !checker.policy.records.is_empty()
        || !checker.stations(records)
    {
        return None;
    }
    let records = records.clone();
    Some(Policy {
        records,
        ..checker.policy
    })
}

/// The policy of `records` once a few of them were put in the place of those `before`, nothing else
/// of a valid policy being changed. `None`: ask [`validate_with`].
pub fn validate_some(
    documents: &[Numbered],
    fresh: &Batch,
    (before, records): (&Records, &Records),
) -> Option<Policy> {
    let checker = checked(documents);
    if !checker.faults.is_empty() || !checker.some_stations(fresh, before, records) {
        return None;
    }
    let records = records.clone();
    Some(Policy {
        records,
        ..checker.policy
    })
}

/// Checks every rule. The faults are in the documents' order, those of stored
/// documents last; such a fault carries the number of the document in the request
/// that brought it about.
pub fn validate(documents: &[Numbered]) -> Result<Policy, Vec<Fault>> {
    checked(documents).finish()
}

fn checked(documents: &[Numbered]) -> Checker<'_> {
    let mut checker = Checker::default();
    let fresh = checker.names(documents);
    // Each kind refers to those before it only.
    for (at, document) in &fresh {
        match document {
            Document::ProviderNetwork(d) => checker.provider_network(at, &d.spec),
            Document::Host(d) => checker.host(at, &d.spec),
            Document::VMNetwork(d) => checker.vm_network(at, d),
            Document::Port(_) | Document::LookupRecord(_) | Document::CustomerRoute(_) => {}
        }
    }
    for (at, document) in &fresh {
        if let Document::Port(d) = document {
            checker.port(at, d);
        }
    }
    for (at, document) in &fresh {
        if let Document::LookupRecord(d) = document {
            checker.lookup_record(at, d);
        }
    }
    for (at, document) in &fresh {
        match document {
            Document::CustomerRoute(d) => checker.customer_route(at, d),
            Document::LookupRecord(d) => checker.wildcard_station(at, &d.spec),
            Document::ProviderNetwork(_)
            | Document::Host(_)
            | Document::VMNetwork(_)
            | Document::Port(_) => {}
        }
    }
    checker
}

/// What the checks share: faults so far, the policy so far, and who has what.
#[derive(Default)]
struct Checker<'d> {
    faults: Vec<Fault>,
    policy: Policy,
    /// Number in the request of each object.
    objects: HashMap<Key, Option<usize>>,
    /// Routing domains by GUID.
    domains: HashMap<uuid::Uuid, Key>,
    /// Every VSID as written, valid or not: its VM network and subnet.
    vsids: HashMap<u32, SubnetAt<'d>>,
    /// Prefixes of virtual subnets, by VM network.
    prefixes: BTreeSet<(&'d str, IpNet)>,
    ends: ends::Ends<'d>,
    routes: HashMap<route::Choice<'d>, Key>,
}

/// A subnet as written.
struct SubnetAt<'d> {
    network: &'d str,
    rdid: uuid::Uuid,
    distributed_router: bool,
    spec: &'d VirtualSubnetSpec,
    gateways: Vec<IpAddr>,
}

/// The document that is checked.
#[derive(Clone, Debug)]
struct Subject {
    document: Option<usize>,
    key: Key,
}

impl<'d> Checker<'d> {
    /// Names are there and well-formed, and each object stands once. Returns the
    /// documents to look into.
    fn names(&mut self, documents: &'d [Numbered]) -> Vec<(Subject, &'d Document)> {
        let mut fresh = Vec::with_capacity(documents.len());
        for (number, document) in documents {
            let key = Key::of(document);
            let at = Subject {
                document: *number,
                key,
            };
            self.metadata(&at, document);
            if let Some(other) = self.objects.get(&at.key) {
                let place = other.map_or("stored".to_owned(), |n| format!("document {}", n + 1));
                let message = format!("{} is there already, as {place}", at.key);
                self.fault(&at, "", message, "remove one of the two");
                continue;
            }
            self.objects.insert(at.key.clone(), *number);
            fresh.push((at, document));
        }
        fresh
    }

    fn fault(
        &mut self,
        at: &Subject,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.faults.push(Fault {
            document: at.document,
            object: at.key.clone(),
            path: path.into(),
            message: message.into(),
            hint: hint.into(),
            related: Vec::new(),
        });
    }

    /// A fault between two objects; call it directly after [`Self::fault`].
    fn relates_to(&mut self, other: Key) {
        if let Some(fault) = self.faults.last_mut() {
            fault.related.push(other);
        }
    }

    fn finish(mut self) -> Result<Policy, Vec<Fault>> {
        if self.faults.is_empty() {
            return Ok(self.policy);
        }
        self.faults
            .sort_by_key(|fault| fault.document.unwrap_or(usize::MAX));
        for fault in self.faults.iter_mut().filter(|f| f.document.is_none()) {
            blame(fault, &self.objects);
        }
        Err(self.faults)
    }
}

/// Says which document of the request put a stored object in the wrong.
fn blame(fault: &mut Fault, objects: &HashMap<Key, Option<usize>>) {
    let number = |key: &Key| Some((key.clone(), (*objects.get(key)?)?));
    if let Some((key, number)) = fault.related.iter().find_map(number) {
        fault.document = Some(number);
        let place = number + 1;
        let cause = format!(", because of {key} (document {place} of the request)");
        fault.message.push_str(&cause);
    }
}

#[cfg(test)]
mod tests;
