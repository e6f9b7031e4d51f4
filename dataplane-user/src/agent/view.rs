//! What the agent last saw and did, for whoever asks.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Instant};

use super::Agent;
use crate::{
    control::protocol::{
        ObjectStatus, ObjectView, PaStatus, PortStatus, SlowPathStatus, Status, TableSizes,
        UplinkStatus,
    },
    policy::{
        Key, Policy, PortKey, derived_records,
        document::{
            ApiVersion, Document, Envelope, LookupRecordSpec, MacAddress, Metadata, PortMode,
            RecordType,
        },
        records::Record,
    },
    ports::State,
    store::objects::Stored,
    underlay::presence::{is_of_port, present},
};

/// A snapshot.
pub struct View {
    /// Health; its uptime is 0.
    pub status: Status,
    /// When the first snapshot was taken.
    pub started: Instant,
    stored: Arc<Stored>,
    policy: Arc<Policy>,
    host: String,
    states: BTreeMap<PortKey, State>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            status: Status {
                api_version: ApiVersion::V1,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                host: String::new(),
                ready: false,
                conditions: vec!["nved is starting".to_owned()],
                uptime_seconds: 0,
                revision: 0,
                generation: 0,
                uplinks: Vec::new(),
                ports: Vec::new(),
                provider_addresses: Vec::new(),
                tables: TableSizes::default(),
                slow_path: SlowPathStatus::default(),
            },
            started: Instant::now(),
            stored: Arc::default(),
            policy: Arc::default(),
            host: String::new(),
            states: BTreeMap::new(),
        }
    }
}

impl View {
    pub(super) fn of(agent: &Agent, conditions: Vec<String>) -> Self {
        let started = agent.publish.borrow().started;
        let ports = agent
            .states
            .iter()
            .map(|(key, state)| port(agent, key, state));
        let reach = agent.reach.iter();
        let present = present(&agent.image);
        let provider_addresses = reach.map(|(pa, reach)| match present.get(pa) {
            Some(station) => PaStatus {
                mac: station.mac.to_string(),
                ..pa_status(*pa, reach)
            },
            None if reach.state == "local" && is_of_port(&agent.image, *pa) => PaStatus {
                state: "notAttached".to_owned(),
                ..pa_status(*pa, reach)
            },
            None => pa_status(*pa, reach),
        });
        Self {
            status: Status {
                host: agent.settings.host.clone(),
                ready: conditions.is_empty(),
                conditions,
                revision: agent.source.stored.revision,
                generation: agent.generation,
                uplinks: uplinks(agent),
                ports: ports.collect(),
                provider_addresses: provider_addresses.collect(),
                tables: TableSizes {
                    vports: agent.image.vports.len(),
                    subnets: agent.image.subnets.len(),
                    lookup_records: agent.image.lookup.len() + agent.slow_path.in_use().0,
                    underlay: agent.image.underlay.len(),
                },
                slow_path: agent.slow_path_status(),
                ..Self::default().status
            },
            started,
            stored: agent.source.stored.clone(),
            policy: agent.source.policy.clone(),
            host: agent.settings.host.clone(),
            states: agent.states.clone(),
        }
    }

    /// The objects of a kind (as [`Key::kind`]), by name; derived records included.
    pub fn objects(&self, kind: &str) -> Vec<ObjectView> {
        let few = self.stored.few();
        let mut items: BTreeMap<Key, ObjectView> = few
            .map(|(document, revision)| (Key::of(document), document, revision))
            .filter(|(key, ..)| key.kind() == kind)
            .map(|(key, document, revision)| {
                let status = self.status_of(&key, revision);
                let document = document.clone();
                (key, ObjectView { document, status })
            })
            .collect();
        if kind == "LookupRecord" {
            let records = self.stored.records.iter();
            items.extend(records.map(|record| (record.key(), self.record(&record))));
            items.extend(self.derived());
        }
        items.into_values().collect()
    }

    /// One object.
    pub fn object(&self, key: &Key) -> Option<ObjectView> {
        if let Key::LookupRecord(vsid, ca) = key
            && let Some(record) = self.stored.records.get((*vsid, *ca))
        {
            return Some(self.record(&record));
        }
        let mut objects = self.objects(key.kind()).into_iter();
        objects.find(|view| Key::of(&view.document) == *key)
    }

    fn record(&self, record: &Record<'_>) -> ObjectView {
        ObjectView {
            document: record.document(),
            status: self.status_of(&record.key(), record.kind.revision),
        }
    }

    fn status_of(&self, key: &Key, revision: u64) -> ObjectStatus {
        let (state, interface) = match key {
            Key::Port(port) => self.port_state(port),
            Key::LookupRecord(vsid, _) | Key::L2Record(vsid, _) => (self.used(*vsid), None),
            Key::CustomerRoute(network, name) => (self.route_state(network, name), None),
            Key::Host(_) | Key::VmNetwork(_) | Key::ProviderNetwork(_) => ("Ready".into(), None),
        };
        ObjectStatus {
            revision,
            state,
            derived_from: None,
            interface,
        }
    }

    fn port_state(&self, key: &PortKey) -> (String, Option<String>) {
        match self.states.get(key) {
            Some(State::Ready(attachment)) => ("Ready".into(), Some(attachment.interface.clone())),
            Some(State::Pending(why)) => (format!("Pending: {why}"), None),
            None => ("Remote".into(), None),
        }
    }

    fn route_state(&self, network: &str, name: &str) -> String {
        let key = (network.to_owned(), name.to_owned());
        let route = self.policy.routes.get(&key);
        route.map_or("Unused".to_owned(), |route| self.used(route.vsid.get()))
    }

    /// Whether a port of this host shares the routing domain.
    fn used(&self, vsid: u32) -> String {
        let domain = |vsid: u32| {
            let vsid = dataplane_common::id::Vsid::new(vsid)?;
            Some(self.policy.subnet(vsid)?.0.rdid)
        };
        let wanted = domain(vsid);
        let mut ports = self.policy.ports.values();
        let used = ports.any(|port| port.host == self.host && domain(port.vsid.get()) == wanted);
        if used { "Ready" } else { "Unused" }.to_owned()
    }

    fn derived(&self) -> impl Iterator<Item = (Key, ObjectView)> {
        derived_records(&self.policy).map(|record| {
            let status = ObjectStatus {
                revision: 0,
                state: self.used(record.vsid.get()),
                derived_from: Some(record.port.to_string()),
                interface: None,
            };
            let document = Document::LookupRecord(Envelope {
                api_version: ApiVersion::V1,
                metadata: Metadata {
                    vm_network: Some(record.port.vm_network.clone()),
                    ..Metadata::default()
                },
                spec: LookupRecordSpec {
                    virtual_subnet_id: record.vsid.get(),
                    customer_address: record.ca,
                    mac_address: MacAddress(record.mac),
                    provider_address: record.pa,
                    rule: Some(record.rule),
                    use_vm_mac_address: record.use_vm_mac,
                    record_type: RecordType::Static,
                    vm_name: Some(record.port.name.clone()),
                    context: None,
                },
            });
            (record.key(), ObjectView { document, status })
        })
    }
}

fn port(agent: &Agent, key: &PortKey, state: &State) -> PortStatus {
    let mode = agent.source.policy.ports.get(key).map(|port| port.mode);
    let (interface, ifindex) = match state {
        State::Ready(attachment) => (attachment.interface.clone(), attachment.ifindex),
        State::Pending(_) => (String::new(), 0),
    };
    let vport = agent.image.vports.get(&ifindex);
    PortStatus {
        vm_network: key.vm_network.clone(),
        name: key.name.clone(),
        state: match state {
            State::Ready(_) => "Ready".to_owned(),
            State::Pending(why) => format!("Pending: {why}"),
        },
        interface,
        ifindex,
        mode: match mode.unwrap_or_default() {
            PortMode::Tc => "tc".to_owned(),
            PortMode::Xdp => "xdp".to_owned(),
        },
        mtu: vport.map_or(0, |vport| vport.mtu),
    }
}

fn pa_status(pa: IpAddr, reach: &crate::underlay::Reach) -> PaStatus {
    PaStatus {
        address: pa.to_string(),
        state: reach.state.to_owned(),
        interface: reach.interface.clone(),
        mac: reach.hop.dst_mac.to_string(),
        path_mtu: reach.hop.path_mtu,
    }
}

fn uplinks(agent: &Agent) -> Vec<UplinkStatus> {
    let uplinks = agent.uplinks.values().map(|uplink| UplinkStatus {
        interface: uplink.device.name.clone(),
        mode: uplink.hooks.as_str().to_owned(),
        driver: uplink.driver.clone(),
        mtu: uplink.mtu,
        others: uplink.others.iter().map(ToString::to_string).collect(),
    });
    uplinks.collect()
}
