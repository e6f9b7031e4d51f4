//! `VPORTS`, `PORT_CAS` and `LOCAL_PORTS`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use dataplane_common::{
    abi::{
        port_ca::PortCaKey,
        vport::{LocalPortKey, Vport},
    },
    id::{Address, Mac, Vsid},
};

use super::{AttachedPort, CompileError, Compiler, Scope, flag, route_scope};
use crate::policy::{
    document::{InnerVlan, MssClamp, Mtu, RecordType, Rule, TableMode},
    ids::gateway_mac,
    key::PortKey,
    model::{Broadcast, Policy, Port, Subnet, VmNetwork},
};

/// CAs by the VSID and MAC of who has them.
pub(super) type Cas = BTreeMap<(Vsid, Mac), Vec<IpAddr>>;

/// Bytes of an IP and a TCP header without options, IPv4 and IPv6.
const TCP_OVERHEAD: [u16; 2] = [40, 60];

impl Compiler<'_> {
    /// A port of this host. It keeps its slot while it is not attached. `forwards`: it is the next
    /// hop of a customer route.
    pub(super) fn port(
        &mut self,
        key: &PortKey,
        port: &Port,
        forwards: bool,
    ) -> Result<(), CompileError> {
        let slot = self.ids.port_slot(key)?;
        let policy = self.policy;
        let (Some(attached), Some((network, subnet))) =
            (self.facts.ports.get(key).copied(), policy.subnet(port.vsid))
        else {
            return Ok(());
        };
        let learned = self.learned.remove(&(port.vsid, port.mac));
        let addresses = learned.as_ref().unwrap_or(&port.addresses);
        let keys = addresses.iter().map(|ca| PortCaKey {
            slot,
            ca: (*ca).into(),
        });
        self.image.port_cas.extend(keys);
        let mtu = port_mtu(subnet, attached);
        let rdid = self.ids.routing_domain(network.rdid);
        let vport = Vport {
            slot,
            rdid,
            vsid: port.vsid.get(),
            routes: route_scope(network, rdid, port.vsid),
            mtu,
            flags: self.port_flags(network, subnet, port)
                | flag(forwards, Vport::FORWARDS)
                | flag(attached.peer, Vport::PEER),
            mac: port.mac,
            gateway_mac: gateway_mac(network.rdid),
            mss: mss(port.mss_clamp, mtu),
            cas: first_of_each(addresses),
            pas: own_of_each(port),
            ..Vport::default()
        };
        let local = LocalPortKey::new(port.vsid.get(), port.mac);
        self.image.vports.insert(attached.ifindex, vport);
        self.image.local_ports.insert(local, attached.ifindex);
        Ok(())
    }

    fn port_flags(&self, network: &VmNetwork, subnet: &Subnet, port: &Port) -> u16 {
        flag(network.table_mode == TableMode::OnDemand, Vport::ON_DEMAND)
            | flag(subnet.inner_vlan == InnerVlan::Drop, Vport::DROP_TAGGED)
            | flag(subnet.non_ip, Vport::NON_IP)
            | flag(port.record_type == RecordType::L2Only, Vport::LEARNS)
            | flag(!network.distributed_router, Vport::EXTERNAL_ROUTER)
            | flag(subnet.broadcast != Broadcast::None, Vport::BROADCAST)
            | flag(
                self.scope.unknown_cas.contains(&port.vsid),
                Vport::UNKNOWN_CAS,
            )
            | flag(subnet.router_advertisement, Vport::ADVERTISES)
            | flag(port.rule == Rule::TranslationMethodNat, Vport::REWRITES)
            | flag(port.use_vm_mac, Vport::VM_MAC)
    }
}

/// The CAs of the host's ports that are learned: of the records that have their MACs. One that says
/// that the port is on another host is of a time before it came here.
pub(super) fn learned(policy: &Policy, host: &str, scope: &Scope) -> Cas {
    let ports = policy.ports.values().filter(|port| port.host == host);
    let learning = ports.filter(|port| port.record_type == RecordType::L2Only);
    let mut cas: Cas = learning
        .map(|port| ((port.vsid, port.mac), Vec::new()))
        .collect();
    if cas.is_empty() {
        return cas;
    }
    let subnets: BTreeSet<Vsid> = cas.keys().map(|(vsid, _)| *vsid).collect();
    for vsid in subnets {
        let inside = policy.stated_in(vsid);
        for record in inside.filter(|record| scope.own.contains(&record.pa)) {
            if let Some(own) = cas.get_mut(&(vsid, record.mac)) {
                own.push(record.ca);
            }
        }
    }
    cas
}

fn first_of_each(addresses: &[IpAddr]) -> [Address; 2] {
    let first = |v4| addresses.iter().find(|address| address.is_ipv4() == v4);
    [true, false].map(|v4| first(v4).map_or(Address::UNSPECIFIED, |first| (*first).into()))
}

/// The PAs of the first CAs' own.
fn own_of_each(port: &Port) -> [Address; 2] {
    let own = || port.addresses.iter().zip(&port.own_pas);
    let first = |v4| own().find(|(ca, _)| ca.is_ipv4() == v4);
    [true, false].map(|v4| first(v4).map_or(Address::UNSPECIFIED, |(_, pa)| (*pa).into()))
}

fn port_mtu(subnet: &Subnet, attached: AttachedPort) -> u16 {
    match subnet.mtu {
        Mtu::Auto => attached.mtu,
        Mtu::Bytes(bytes) => attached.mtu.min(bytes),
    }
}

/// The largest segments over IPv4 and IPv6.
fn mss(clamp: Option<MssClamp>, mtu: u16) -> [u16; 2] {
    match clamp {
        None => [0, 0],
        Some(MssClamp::Bytes(bytes)) => [bytes, bytes],
        Some(MssClamp::Auto) => TCP_OVERHEAD.map(|overhead| mtu.saturating_sub(overhead)),
    }
}
