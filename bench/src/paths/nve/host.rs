//! One host: programs, maps, devices.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, HashMap, LpmTrie, MapData, PerCpuArray, lpm_trie::Key, xdp::DevMapHash},
};
use dataplane_common::{
    abi::{
        config::Config,
        lookup::{LookupEntry, LookupKey4, LookupRecord},
        port_ca::PortCaKey,
        route::RouteKey,
        stats::{Count, Counter, Direction, counter_index, drop_index},
        underlay::NextHop,
    },
    reason::DropReason,
};
use dataplane_user::dataplane::{
    OBJECT,
    load::{TC_EGRESS, TC_INGRESS, XDP_EGRESS, XDP_INGRESS},
};
use xtask::lab::Netns;

use super::{
    bulk,
    tables::{self, Spec},
};
use crate::{
    paths::{
        Counters, DROP, Reader,
        topology::{Topology, ifindex, inside},
    },
    programs::{self, Hook},
    rate::Rewrite,
    scenario::Refusal,
};

/// Slots that are in use: none, port `a`, port `b`.
const SLOTS: u32 = 3;
/// CAs of ports that the object has room for unless told otherwise.
const PORT_CAS_ROOM: u32 = 16_384;

/// A host at work.
pub(super) struct Host {
    ebpf: Ebpf,
}

/// The counters of a host.
pub(super) struct Counts {
    counters: PerCpuArray<MapData, Count>,
    drops: PerCpuArray<MapData, Count>,
}

impl Host {
    /// Loads, fills and attaches.
    pub(super) fn start(hook: Hook, spec: &Spec, topology: &Topology) -> Result<Self> {
        // The ports have CAs of their own, too.
        let owned = spec.owner.map_or(0, |_| spec.keys + SLOTS);
        let mut host = Self {
            ebpf: EbpfLoader::new()
                .map_max_entries("LOOKUP", spec.room)
                .map_max_entries("PORT_CAS", owned.max(PORT_CAS_ROOM))
                .load(OBJECT)?,
        };
        host.fill(spec)?;
        host.attach(hook, spec, topology.host(spec.is_b))?;
        Ok(host)
    }

    /// A writer of records that are as they are.
    pub(super) fn take_lookup(&mut self, record: LookupRecord) -> Result<Rewrite> {
        let map = self.ebpf.take_map("LOOKUP").context("no such map")?;
        let mut map: HashMap<_, LookupKey4, LookupEntry> = map.try_into()?;
        let entry = LookupEntry::from(record);
        Ok(Box::new(move |number| {
            map.insert(tables::key(number), entry, 0)
                .with_context(|| format!("cannot write record {number} again"))
        }))
    }

    /// Its counters.
    pub(super) fn take_counters(&mut self) -> Result<Arc<Counts>> {
        let mut take = |name| self.ebpf.take_map(name).context("no such map");
        Ok(Arc::new(Counts {
            counters: take("COUNTERS")?.try_into()?,
            drops: take("DROPS")?.try_into()?,
        }))
    }

    fn fill(&mut self, spec: &Spec) -> Result<()> {
        let image = &spec.image;
        let mut config: Array<_, Config> = self
            .ebpf
            .map_mut("CONFIG")
            .context("no such map")?
            .try_into()?;
        config.set(0, image.config, 0)?;
        let mut underlay: Array<_, NextHop> = self
            .ebpf
            .map_mut("UNDERLAY")
            .context("no such map")?
            .try_into()?;
        for (index, hop) in &image.underlay {
            underlay.set(*index, hop, 0)?;
        }
        let port_cas: BTreeMap<_, _> = image.port_cas.iter().map(|key| (*key, 0_u32)).collect();
        let local_pas: BTreeMap<_, _> = image.local_pas.iter().map(|pa| (*pa, 0_u32)).collect();
        self.put("VPORTS", &image.vports)?;
        self.put("LOCAL_PORTS", &image.local_ports)?;
        self.put("VSIDS", &image.subnets)?;
        self.put("PORT_CAS", &port_cas)?;
        self.put("LOCAL_PAS", &local_pas)?;
        let records = image.lookup.iter();
        let records = records.filter_map(|(key, record)| Some((key.v4()?, (*record).into())));
        self.put::<LookupKey4, LookupEntry>("LOOKUP", &records.collect())?;
        let routes = self.ebpf.map_mut("ROUTES").context("no such map")?;
        let mut routes: LpmTrie<_, RouteKey, LookupRecord> = routes.try_into()?;
        for (prefix, record) in &image.routes {
            routes.insert(&Key::new(prefix.bits, prefix.key), record, 0)?;
        }
        bulk::fill(
            programs::map_id(&self.ebpf, "LOOKUP")?,
            spec.keys,
            |number| (tables::key(number), LookupEntry::from(spec.record)),
        )?;
        let Some(slot) = spec.owner else {
            return Ok(());
        };
        bulk::fill(
            programs::map_id(&self.ebpf, "PORT_CAS")?,
            spec.keys,
            |number| {
                let ca = tables::ca(number).into();
                (PortCaKey { slot, ca }, 0_u32)
            },
        )
    }

    fn put<K: Pod, V: Pod>(&mut self, name: &str, entries: &BTreeMap<K, V>) -> Result<()> {
        let map = self.ebpf.map_mut(name).context("no such map")?;
        let mut map: HashMap<_, K, V> = map.try_into()?;
        for (key, value) in entries {
            map.insert(key, value, 0)
                .with_context(|| format!("cannot write to map {name}"))?;
        }
        Ok(())
    }

    fn attach(&mut self, hook: Hook, spec: &Spec, netns: &Netns) -> Result<()> {
        let ports = spec.ports.iter().map(|port| (*port, TC_EGRESS, XDP_EGRESS));
        for (device, tc, xdp) in ports.chain([("eth0", TC_INGRESS, XDP_INGRESS)]) {
            let index = ifindex(netns, device)?;
            inside(netns, || {
                let map = self.ebpf.map_mut("TX_PORTS").context("no such map")?;
                DevMapHash::try_from(map)?.insert(index, index, None, 0)?;
                Ok(())
            })?;
            programs::attach(&mut self.ebpf, (tc, Hook::Tc), netns, device)?;
            if hook == Hook::Xdp {
                programs::attach(&mut self.ebpf, (xdp, Hook::Xdp), netns, device)?;
            }
        }
        Ok(())
    }
}

/// Counts what port `a` was refused for a reason.
pub(super) fn refused(counts: &Arc<Counts>, refusal: Refusal) -> Reader {
    let counts = Arc::clone(counts);
    let index = drop_index(tables::SLOT_A, Direction::Egress, refusal.reason());
    Box::new(move || sum(&counts.drops, index))
}

/// All counters of some hosts, added up by name.
pub(super) fn counters(hosts: Vec<Arc<Counts>>) -> Counters {
    Box::new(move || {
        let mut all = BTreeMap::new();
        for (counts, slot) in hosts
            .iter()
            .flat_map(|host| (0..SLOTS).map(move |slot| (host, slot)))
        {
            for counter in Counter::ALL {
                let index = counter_index(slot, *counter);
                add(
                    &mut all,
                    counter.as_str().to_owned(),
                    sum(&counts.counters, index)?,
                );
            }
            for direction in Direction::ALL {
                for reason in DropReason::ALL {
                    let index = drop_index(slot, direction, *reason);
                    add(
                        &mut all,
                        format!("{DROP}{}", reason.as_str()),
                        sum(&counts.drops, index)?,
                    );
                }
            }
        }
        Ok(all)
    })
}

fn add(all: &mut BTreeMap<String, u64>, name: String, packets: u64) {
    if packets > 0 {
        *all.entry(name).or_default() += packets;
    }
}

fn sum(map: &PerCpuArray<MapData, Count>, index: u32) -> Result<u64> {
    let values = map.get(&index, 0)?;
    Ok(values.iter().map(|count| count.packets).sum())
}
