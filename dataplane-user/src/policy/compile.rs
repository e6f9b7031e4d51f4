//! Policy of all hosts -> table image of one host. Pure.

mod records;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use dataplane_common::abi::{
    config::Config,
    lookup::{LookupKey, LookupRecord},
    pa::{self, PaKey},
    port_ca::PortCaKey,
    underlay::NextHop,
    vport::{LocalPortKey, Vport},
    vsid::VirtualSubnet,
};
use uuid::Uuid;

use super::{
    document::{Dscp, FlowIdSource, ForeignGre, InnerVlan, Mtu, TableMode},
    ids::{IdError, Ids, gateway_mac},
    key::{Key, PortKey},
    model::{Policy, Port, Subnet, VmNetwork, derived_records},
    table_image::TableImage,
};

/// What the host's devices and underlay look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Ports whose device is there.
    pub ports: BTreeMap<PortKey, AttachedPort>,
    /// What the kernel's routes and neighbours say of each PA.
    pub next_hops: BTreeMap<IpAddr, NextHop>,
    /// The way to user space.
    pub upcall: Upcall,
}

/// The way from the programs to user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcall {
    /// Device that packets for user space are sent to; 0: there is none.
    pub ifindex: u32,
    /// Time between two punts of a port in the long run, nanoseconds.
    pub interval: u32,
    /// Punts of a port that may come at once.
    pub burst: u32,
}

impl Default for Upcall {
    fn default() -> Self {
        Self {
            ifindex: 0,
            interval: Config::DEFAULT.punt_interval,
            burst: Config::DEFAULT.punt_burst,
        }
    }
}

/// A port's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedPort {
    /// Its index.
    pub ifindex: u32,
    /// Its MTU, layer 3, bytes.
    pub mtu: u16,
    /// Whether it is one end of a veth whose other end is in another network namespace.
    pub peer: bool,
}

/// Why there is no table image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The policy does not know this host.
    #[error(
        "there is no host {host} in the policy; apply a Host document with this name, or start nved with the name of a known host"
    )]
    UnknownHost {
        /// Its name.
        host: String,
    },
    /// A table is full.
    #[error(transparent)]
    Ids(#[from] IdError),
    /// An address that the tables cannot hold.
    #[error("{object}: {address} is no IPv4 address; IPv6 is not supported yet")]
    NotIpv4 {
        /// Whose it is.
        object: Key,
        /// The address.
        address: IpAddr,
    },
}

/// The tables of `host`. `ids` grows by what is new; [`Ids::release`] shrinks it.
pub fn compile(
    policy: &Policy,
    host: &str,
    facts: &Facts,
    ids: &mut Ids,
) -> Result<TableImage, CompileError> {
    let own = own_addresses(policy, host);
    if own.is_empty() && !policy.hosts.contains_key(host) {
        return Err(CompileError::UnknownHost {
            host: host.to_owned(),
        });
    }
    let domains = domains_in_use(policy, host);
    let mut compiler = Compiler {
        policy,
        facts,
        ids,
        own,
        image: TableImage::default(),
    };
    compiler.image.config = config(policy, compiler.ids.seed, facts.upcall);
    compiler.underlay(&pas_in_use(policy, host))?;
    let networks = policy.networks.values();
    for network in networks.filter(|network| domains.contains(&network.rdid)) {
        compiler.network(network)?;
    }
    for (key, port) in policy.ports.iter().filter(|(_, port)| port.host == host) {
        compiler.port(key, port)?;
    }
    compiler.derived(&domains)?;
    compiler.stated(&domains)?;
    Ok(compiler.image)
}

/// The PAs whose next hops the underlay watcher shall resolve: those of all
/// records in routing domains with a port on `host`, and the host's own.
pub fn pas_in_use(policy: &Policy, host: &str) -> BTreeSet<IpAddr> {
    let domains = domains_in_use(policy, host);
    let mut pas = own_addresses(policy, host);
    let in_use = |vsid| {
        let subnet = policy.subnet(vsid);
        subnet.is_some_and(|(network, _)| domains.contains(&network.rdid))
    };
    let derived = derived_records(policy).filter(|record| in_use(record.vsid));
    pas.extend(derived.map(|record| record.pa));
    let stated = policy.records.iter().filter(|((vsid, _), _)| in_use(*vsid));
    pas.extend(stated.map(|(_, record)| record.pa));
    pas
}

/// The routing domains with a port on `host`, attached or not.
pub fn domains_in_use(policy: &Policy, host: &str) -> BTreeSet<Uuid> {
    let ports = policy.ports.values().filter(|port| port.host == host);
    let networks = ports.filter_map(|port| policy.subnet(port.vsid));
    networks.map(|(network, _)| network.rdid).collect()
}

fn own_addresses(policy: &Policy, host: &str) -> BTreeSet<IpAddr> {
    let addresses = policy.hosts.get(host).map(|host| host.addresses.iter());
    addresses.into_iter().flatten().map(|a| a.address).collect()
}

fn config(policy: &Policy, seed: u32, upcall: Upcall) -> Config {
    Config {
        seed,
        flow_id: u8::from(policy.nvgre.flow_id == FlowIdSource::Hash),
        outer_ttl: policy.nvgre.outer_ttl,
        dscp: match policy.nvgre.dscp {
            Dscp::Copy => Config::DSCP_COPY,
            Dscp::Fixed(value) => value,
        },
        drop_foreign_gre: u8::from(policy.nvgre.foreign_gre == ForeignGre::Drop),
        upcall_ifindex: upcall.ifindex,
        punt_interval: upcall.interval,
        punt_burst: upcall.burst,
        ..Config::DEFAULT
    }
}

/// What the steps share.
struct Compiler<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    ids: &'a mut Ids,
    /// PAs of this host.
    own: BTreeSet<IpAddr>,
    image: TableImage,
}

impl Compiler<'_> {
    /// `UNDERLAY` and `LOCAL_PAS`. The host's own PAs have entries too: PA
    /// validation compares the outer source with the record's entry.
    fn underlay(&mut self, pas: &BTreeSet<IpAddr>) -> Result<(), CompileError> {
        let src = self.own.first().map_or([0; 16], |own| pa_key(*own));
        for pa in pas {
            let index = self.ids.provider_address(*pa)?;
            let known = self.facts.next_hops.get(pa).copied();
            let hop = known.unwrap_or(NextHop::unrouted(pa_key(*pa), src));
            self.image.underlay.insert(index, hop);
        }
        self.image.local_pas = self.own.iter().map(|pa| pa_key(*pa)).collect();
        Ok(())
    }

    /// `VSIDS` and the gateways' records. Every host answers for a gateway.
    fn network(&mut self, network: &VmNetwork) -> Result<(), CompileError> {
        let rdid = self.ids.routing_domain(network.rdid);
        for subnet in &network.subnets {
            let vsid = subnet.vsid.get();
            let flags = match network.table_mode {
                TableMode::Full => 0,
                TableMode::OnDemand => VirtualSubnet::ON_DEMAND,
            };
            let value = VirtualSubnet { rdid, flags };
            self.image.subnets.insert(vsid, value);
            for gateway in &subnet.gateways {
                let object = Key::LookupRecord(vsid, *gateway);
                let ca = ipv4(&object, *gateway)?;
                let record = LookupRecord {
                    vsid,
                    pa_index: 0,
                    ifindex: 0,
                    mac: gateway_mac(network.rdid),
                    flags: LookupRecord::GATEWAY,
                };
                self.image.lookup.insert(LookupKey { rdid, ca }, record);
            }
        }
        Ok(())
    }

    /// `VPORTS`, `PORT_CAS` and `LOCAL_PORTS` of a port of this host. It keeps
    /// its slot while it is not attached.
    fn port(&mut self, key: &PortKey, port: &Port) -> Result<(), CompileError> {
        let slot = self.ids.port_slot(key)?;
        let policy = self.policy;
        let (Some(attached), Some((network, subnet))) =
            (self.facts.ports.get(key).copied(), policy.subnet(port.vsid))
        else {
            return Ok(());
        };
        let object = Key::Port(key.clone());
        for address in &port.addresses {
            let ca = ipv4(&object, *address)?;
            self.image.port_cas.insert(PortCaKey { slot, ca });
        }
        let vport = Vport {
            slot,
            rdid: self.ids.routing_domain(network.rdid),
            vsid: port.vsid.get(),
            mtu: port_mtu(subnet, attached),
            flags: port_flags(network, subnet, attached),
            mac: port.mac,
            gateway_mac: gateway_mac(network.rdid),
            ca: ipv4(&object, port.addresses.first().copied().unwrap_or(UNSET))?,
        };
        let local = LocalPortKey::new(port.vsid.get(), port.mac);
        self.image.vports.insert(attached.ifindex, vport);
        self.image.local_ports.insert(local, attached.ifindex);
        Ok(())
    }
}

const UNSET: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn port_mtu(subnet: &Subnet, attached: AttachedPort) -> u16 {
    match subnet.mtu {
        Mtu::Auto => attached.mtu,
        Mtu::Bytes(bytes) => attached.mtu.min(bytes),
    }
}

fn port_flags(network: &VmNetwork, subnet: &Subnet, attached: AttachedPort) -> u16 {
    let mode = match network.table_mode {
        TableMode::Full => 0,
        TableMode::OnDemand => Vport::ON_DEMAND,
    };
    let vlan = match subnet.inner_vlan {
        InnerVlan::Strip => 0,
        InnerVlan::Drop => Vport::DROP_TAGGED,
    };
    mode | vlan | if attached.peer { Vport::PEER } else { 0 }
}

fn ipv4(object: &Key, address: IpAddr) -> Result<[u8; 4], CompileError> {
    match address {
        IpAddr::V4(address) => Ok(address.octets()),
        IpAddr::V6(_) => Err(CompileError::NotIpv4 {
            object: object.clone(),
            address,
        }),
    }
}

/// The 16-byte form of a PA.
pub fn pa_key(address: IpAddr) -> PaKey {
    match address {
        IpAddr::V4(address) => pa::from_v4(address.octets()),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests;
