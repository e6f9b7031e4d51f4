//! What the slow path decides by: the whole table, and what its answers need besides.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use dataplane_common::{
    abi::lookup::LookupKey,
    id::{Address, Vsid},
};
use ipnet::{IpNet, Ipv6Net};

use super::learn::Learning;
use crate::policy::{
    Policy,
    compile::{Scope, receivers},
    in_use::{Change, InUse},
    table_image::TableImage,
};

/// The policy of this host, compiled, for one state of the store.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// All records, whatever the kernel's table has of them.
    pub tables: TableImage,
    /// The gateways' CAs by VSID.
    pub gateways: BTreeMap<u32, Vec<IpAddr>>,
    /// The prefixes of subnets, by VSID.
    pub prefixes: BTreeMap<u32, Vec<IpNet>>,
    /// Indexes of the PAs that get a copy of a broadcast from here, by VSID.
    pub receivers: BTreeMap<u32, Vec<u32>>,
    /// PAs of other hosts.
    peers: BTreeSet<Address>,
    /// Who has a routing domain, by its index on this host.
    pub tenants: BTreeMap<u32, Tenant>,
}

impl Directory {
    /// Of tables, the gateways' CAs by VSID, and tenants by routing domain.
    pub fn of(
        tables: TableImage,
        gateways: BTreeMap<u32, Vec<IpAddr>>,
        tenants: BTreeMap<u32, Tenant>,
    ) -> Self {
        let pas = tables.underlay.values().map(|hop| hop.pa);
        // A PA of a CA is no host's.
        let other =
            |pa: &Address| !tables.local_pas.contains(pa) && !tables.rewrites.contains_key(pa);
        let peers = pas.filter(other).collect();
        Self {
            tables,
            gateways,
            peers,
            tenants,
            ..Self::default()
        }
    }

    /// Whether another host has the PA.
    pub fn has_peer(&self, pa: Address) -> bool {
        self.peers.contains(&pa)
    }

    /// The prefixes of a subnet, of both families.
    pub fn prefixes_of(&self, vsid: u32) -> &[IpNet] {
        self.prefixes.get(&vsid).map_or(&[], Vec::as_slice)
    }

    /// The IPv6 prefixes of a subnet.
    pub fn ipv6_prefixes(&self, vsid: u32) -> Vec<Ipv6Net> {
        let all = self.prefixes_of(vsid).iter();
        all.filter_map(ipv6).collect()
    }

    /// Of a policy, and the tables of `host` that it compiled to.
    pub fn new(policy: &Policy, host: &str, tables: TableImage) -> Self {
        let (mut gateways, mut tenants) = (BTreeMap::new(), BTreeMap::new());
        let mut prefixes = BTreeMap::new();
        for (vsid, subnet) in &tables.subnets {
            let found = Vsid::new(*vsid).and_then(|vsid| policy.vsids.get(&vsid));
            let Some((name, network)) =
                found.and_then(|place| policy.networks.get_key_value(&place.network))
            else {
                continue;
            };
            let tenant = || Tenant {
                name: name.clone(),
                weight: network.slow_path_weight,
            };
            tenants.entry(subnet.rdid).or_insert_with(tenant);
            let Some((_, subnet)) = Vsid::new(*vsid).and_then(|vsid| policy.subnet(vsid)) else {
                continue;
            };
            if network.distributed_router {
                gateways.insert(*vsid, subnet.gateways.clone());
            }
            prefixes.insert(*vsid, subnet.prefixes.clone());
        }
        let hops = tables.underlay.iter();
        let indexes: BTreeMap<Address, u32> = hops.map(|(index, hop)| (hop.pa, *index)).collect();
        let receivers = receivers(policy, &Scope::of(policy, host)).into_iter();
        let receivers = receivers.map(|(vsid, pas)| {
            let found = pas.iter().filter_map(|pa| indexes.get(&(*pa).into()));
            (vsid.get(), found.copied().collect())
        });
        let receivers = receivers.collect();
        Self {
            prefixes,
            receivers,
            ..Self::of(tables, gateways, tenants)
        }
    }
}

const fn ipv6(prefix: &IpNet) -> Option<Ipv6Net> {
    match prefix {
        IpNet::V6(prefix) => Some(*prefix),
        IpNet::V4(_) => None,
    }
}

/// A VM network as the slow path knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Its share of the slow path: 1 or more.
    pub weight: u32,
}

/// What the agent and the resolver share.
///
/// Whoever writes the kernel's table for a packet holds the lock of [`Shared::in_use`] from the
/// reading of the directory to the end of the write, and whoever changes the directory holds it
/// meanwhile too. So no record of a former policy gets into the table after the policy changed.
#[derive(Debug)]
pub struct Shared {
    directory: RwLock<Arc<Directory>>,
    in_use: Mutex<InUse>,
    /// Addresses that ports claim.
    pub learning: Learning,
}

impl Shared {
    /// Of a policy that is not known yet.
    pub fn new(in_use: InUse) -> Self {
        Self {
            directory: RwLock::default(),
            in_use: Mutex::new(in_use),
            learning: Learning::default(),
        }
    }

    /// The directory of this moment.
    pub fn directory(&self) -> Arc<Directory> {
        let guard = self.directory.read();
        guard.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The records in use, for as long as the guard lives. A thread that panicked with the lock left
    /// the set whole: each of its methods ends with the set in order or not begun.
    pub fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another policy in place, and tells what the kernel's table has to get for that; whoever
    /// has the guard of `in_use` writes it before letting go.
    pub fn replace(&self, directory: Arc<Directory>, in_use: &mut InUse) -> Vec<Change> {
        let changes = in_use.follow(&directory.tables);
        let mut guard = self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *guard = directory;
        changes
    }
}

/// What a packet asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// Routing domain and CA.
    pub key: LookupKey,
    /// The VSID in which it was asked.
    pub vsid: u32,
}

#[cfg(test)]
mod tests;
