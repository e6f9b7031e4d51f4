//! What the slow path decides by: the whole table, and what its answers need besides.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use dataplane_common::{
    abi::{lookup::LookupKey, pa::PaKey},
    id::Vsid,
};

use crate::policy::{
    Policy,
    in_use::{Change, InUse},
    table_image::TableImage,
};

/// The policy of this host, compiled, for one state of the store.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// All records, whatever the kernel's table has of them.
    pub tables: TableImage,
    /// The gateway's CA by VSID.
    pub gateways: BTreeMap<u32, [u8; 4]>,
    /// PAs of other hosts.
    peers: BTreeSet<PaKey>,
    /// Who has a routing domain, by its index on this host.
    pub tenants: BTreeMap<u32, Tenant>,
}

impl Directory {
    /// Of tables, the gateway's CA by VSID, and tenants by routing domain.
    pub fn of(
        tables: TableImage,
        gateways: BTreeMap<u32, [u8; 4]>,
        tenants: BTreeMap<u32, Tenant>,
    ) -> Self {
        let pas = tables.underlay.values().map(|hop| hop.pa);
        let peers = pas.filter(|pa| !tables.local_pas.contains(pa)).collect();
        Self {
            tables,
            gateways,
            peers,
            tenants,
        }
    }

    /// Whether another host has the PA.
    pub fn has_peer(&self, pa: &PaKey) -> bool {
        self.peers.contains(pa)
    }

    /// Of a policy, and the tables that it compiled to.
    pub fn new(policy: &Policy, tables: TableImage) -> Self {
        let (mut gateways, mut tenants) = (BTreeMap::new(), BTreeMap::new());
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
            let subnet = network.subnets.iter().find(|s| s.vsid.get() == *vsid);
            let mut addresses = subnet.into_iter().flat_map(|s| &s.gateways);
            let v4 = addresses.find_map(|address| match address {
                IpAddr::V4(address) => Some(address.octets()),
                IpAddr::V6(_) => None,
            });
            gateways.extend(v4.map(|gateway| (*vsid, gateway)));
        }
        Self::of(tables, gateways, tenants)
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
}

impl Shared {
    /// Of a policy that is not known yet.
    pub fn new(in_use: InUse) -> Self {
        Self {
            directory: RwLock::default(),
            in_use: Mutex::new(in_use),
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
