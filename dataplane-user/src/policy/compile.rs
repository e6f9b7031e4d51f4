//! Policy of all hosts -> table image of one host. Pure.

mod broadcast;
mod facts;
mod plain;
mod ports;
mod records;
mod rewrites;
mod routes;
mod scope;

use dataplane_common::{
    abi::{
        config::Config,
        lookup::{LookupKey, LookupRecord},
        route,
        underlay::NextHop,
        vport::LocalPortKey,
        vsid::VirtualSubnet,
    },
    id::{Address, Vsid},
};
use uuid::Uuid;

use super::{
    document::{Dscp, FlowIdSource, ForeignGre, Rule, TableMode},
    ids::{IdError, Ids, gateway_mac},
    model::{Broadcast, Policy, VmNetwork},
    table_image::TableImage,
};

use ports::Cas;
use routes::Hops;
use scope::Station;

pub use broadcast::receivers;
pub use facts::{AttachedPort, Facts, Links, Upcall};
pub use scope::{Scope, domains_in_use, pas_in_use};

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
}

/// The tables of `host`. `ids` grows by what is new; [`Ids::release`] shrinks it.
pub fn compile(
    policy: &Policy,
    host: &str,
    facts: &Facts,
    ids: &mut Ids,
) -> Result<TableImage, CompileError> {
    let scope = Scope::of(policy, host);
    if scope.own.is_empty() && !policy.hosts.contains_key(host) {
        return Err(CompileError::UnknownHost {
            host: host.to_owned(),
        });
    }
    let mut compiler = Compiler {
        policy,
        facts,
        ids,
        scope: &scope,
        hops: routes::hops(policy),
        learned: ports::learned(policy, host, &scope),
        image: TableImage::default(),
    };
    compiler.image.config = config(policy, compiler.ids.seed, facts.upcall);
    compiler.underlay()?;
    let networks = policy.networks.iter();
    let networks = networks.filter(|(_, network)| scope.domains.contains(&network.rdid));
    for (_, network) in networks.clone() {
        compiler.network(network);
    }
    let forwards = routes::forwards(&compiler.hops);
    for (key, port) in policy.ports.iter().filter(|(_, port)| port.host == host) {
        compiler.port(key, port, forwards.contains(&(port.vsid, port.mac)))?;
    }
    // The next hop of a route may be a port here.
    for (name, network) in networks {
        compiler.routes(name, network)?;
    }
    let plain = policy.plain_ports.iter();
    for (key, port) in plain.filter(|(_, port)| port.host == host) {
        compiler.plain_port(key, port)?;
    }
    compiler.records()?;
    compiler.stations()?;
    compiler.groups()?;
    compiler.floods()?;
    compiler.plain_floods();
    Ok(compiler.image)
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
    /// What of the policy concerns this host.
    scope: &'a Scope,
    /// Whoever takes the packets of customer routes.
    hops: Hops,
    /// The CAs of ports here that are learned.
    learned: Cas,
    image: TableImage,
}

impl Compiler<'_> {
    /// `UNDERLAY` and `LOCAL_PAS`. The host's own PAs have entries too: PA
    /// validation compares the outer source with the record's entry.
    fn underlay(&mut self) -> Result<(), CompileError> {
        for pa in &self.scope.pas {
            let index = self.ids.provider_address(*pa)?;
            let known = self.facts.next_hops.get(pa).copied();
            let src = crate::underlay::source(*pa, &self.scope.own);
            let src = src.map_or(Address::UNSPECIFIED, Address::from);
            let hop = known.unwrap_or(NextHop::unrouted((*pa).into(), src));
            self.image.underlay.insert(index, hop);
        }
        let own = &self.scope.own;
        let first = |v4| own.iter().find(|pa| pa.is_ipv4() == v4);
        self.image.config.pas =
            [true, false].map(|v4| first(v4).map_or(Address::UNSPECIFIED, |first| (*first).into()));
        let own = own.iter().chain(&self.scope.joined);
        self.image.local_pas = own.map(|pa| (*pa).into()).collect();
        Ok(())
    }

    /// `VSIDS` and the gateways' records. Every host answers for a gateway of the distributed router.
    fn network(&mut self, network: &VmNetwork) {
        let rdid = self.ids.routing_domain(network.rdid);
        for subnet in &network.subnets {
            let vsid = subnet.vsid.get();
            let looked_for = self.scope.unknown_cas.contains(&subnet.vsid);
            let on_demand = network.table_mode == TableMode::OnDemand;
            let broadcast = subnet.broadcast != Broadcast::None || looked_for;
            let value = VirtualSubnet {
                rdid,
                flags: flag(on_demand, VirtualSubnet::ON_DEMAND)
                    | flag(subnet.non_ip, VirtualSubnet::NON_IP)
                    | flag(broadcast, VirtualSubnet::BROADCAST),
                routes: route_scope(network, rdid, subnet.vsid),
            };
            self.image.subnets.insert(vsid, value);
            let answered = subnet
                .gateways
                .iter()
                .filter(|_| network.distributed_router);
            for gateway in answered {
                let record = LookupRecord {
                    vsid,
                    pa_index: 0,
                    ifindex: 0,
                    mac: gateway_mac(network.rdid),
                    flags: LookupRecord::GATEWAY,
                };
                let ca = (*gateway).into();
                self.image.lookup.insert(LookupKey { rdid, ca }, record);
            }
        }
    }

    /// The record of a station; with the device of its port, if that is here and attached.
    fn record_of(&mut self, station: &Station) -> Result<LookupRecord, CompileError> {
        let key = LocalPortKey::new(station.vsid.get(), station.mac);
        let none = station.rule == Rule::TranslationMethodNone;
        let (port, place) = if self.scope.is_here(station.pa) {
            (self.image.local_ports.get(&key), LookupRecord::LOCAL)
        } else {
            (None, flag(none, LookupRecord::NO_TRANSLATION))
        };
        let rewritten = station.rule == Rule::TranslationMethodNat;
        let flags = place | flag(rewritten, LookupRecord::REWRITE);
        Ok(LookupRecord {
            vsid: key.vsid(),
            pa_index: self.ids.provider_address(station.pa)?,
            ifindex: port.copied().unwrap_or(0),
            mac: station.mac,
            flags,
        })
    }

    /// The network of a VSID, if its routing domain is in use here.
    fn network_in_use(&self, vsid: Vsid) -> Option<&VmNetwork> {
        let (network, _) = self.policy.subnet(vsid)?;
        self.is_used(network.rdid).then_some(network)
    }

    fn is_used(&self, rdid: Uuid) -> bool {
        self.scope.domains.contains(&rdid)
    }
}

/// The scope of the routes of a subnet's packets.
fn route_scope(network: &VmNetwork, rdid: u32, vsid: Vsid) -> u32 {
    if network.distributed_router {
        route::of_domain(rdid)
    } else {
        route::of_subnet(vsid.get())
    }
}

/// The flag, if it is to be set.
fn flag<F: Default>(set: bool, flag: F) -> F {
    if set { flag } else { F::default() }
}

#[cfg(test)]
mod tests;
