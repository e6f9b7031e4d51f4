//! One host: programs, maps, devices.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, PerCpuArray},
};
use dataplane_common::{
    abi::{
        lookup::{LookupEntry, LookupRecord},
        port_ca::PortCaKey,
        stats::{Count, Counter, Direction, counter_index, drop_index},
    },
    reason::DropReason,
};
use dataplane_user::dataplane::{
    OBJECT,
    load::{TC_EGRESS, TC_INGRESS, XDP_EGRESS, XDP_INGRESS},
    lookups::Lookups,
    maps::Maps,
};
use xtask::lab::Netns;

use super::{
    bulk,
    tables::{self, SLOT_A, Spec},
};
use crate::{
    paths::{
        Counters, DROP, Reader,
        topology::{Topology, ifindex, inside},
    },
    programs::{self, Hook},
    rate::Rewrite,
    scenario::Refusal,
    tables::key,
};

/// Slots that are in use: none, port `a`, port `b`.
const SLOTS: u32 = 3;
/// CAs of ports that the object has room for unless told otherwise.
const PORT_CAS_ROOM: u32 = 16_384;

/// What is used of a host while it works.
pub(super) struct Handles {
    /// Writes lookup records.
    pub(super) lookup: Lookups,
    /// Its counters.
    pub(super) counts: Arc<Counts>,
}

/// The counters of a host.
pub(super) struct Counts {
    counters: PerCpuArray<MapData, Count>,
    drops: PerCpuArray<MapData, Count>,
}

/// Loads, fills and attaches. The programs go with what is given first.
pub(super) fn start(hook: Hook, spec: &Spec, topology: &Topology) -> Result<(Ebpf, Handles)> {
    let mut loader = EbpfLoader::new();
    // The ports have CAs of their own, too.
    let owned = spec.owner.map_or(0, |_| spec.keys + SLOTS);
    let mut ebpf = loader
        .map_max_entries("PORT_CAS", owned.max(PORT_CAS_ROOM))
        .load(OBJECT)?;
    let port_cas = programs::map_id(&ebpf, "PORT_CAS")?;
    let mut maps = Maps::take(&mut ebpf, spec.room)?;
    fill(&mut maps, spec, port_cas)?;
    attach(&mut ebpf, &mut maps, (hook, spec, topology.host(spec.is_b)))?;
    let Maps {
        lookup,
        counters,
        drops,
        ..
    } = maps;
    let counts = Arc::new(Counts { counters, drops });
    Ok((ebpf, Handles { lookup, counts }))
}

/// A writer of records, each as `next` says.
pub(super) fn rewrite(
    lookup: Lookups,
    mut next: impl FnMut(u32) -> LookupRecord + Send + 'static,
) -> Rewrite {
    Box::new(move |number| {
        let entry = LookupEntry::from(next(number));
        lookup
            .insert(&key(tables::ca(number)), entry)
            .with_context(|| format!("cannot write record {number} again"))
    })
}

fn fill(maps: &mut Maps, spec: &Spec, port_cas: u32) -> Result<()> {
    crate::tables::write(maps, &spec.image)?;
    let many = (0..spec.keys).map(|number| (key(tables::ca(number)), spec.record(number)));
    crate::tables::records(maps, many)?;
    let Some(slot) = spec.owner else {
        return Ok(());
    };
    bulk::fill(port_cas, spec.keys, |number| {
        let ca = tables::ca(number).into();
        (PortCaKey { slot, ca }, 0_u32)
    })
}

fn attach(
    ebpf: &mut Ebpf,
    maps: &mut Maps,
    (hook, spec, netns): (Hook, &Spec, &Netns),
) -> Result<()> {
    let ports = spec.ports.iter().map(|port| (*port, TC_EGRESS, XDP_EGRESS));
    for (device, tc, xdp) in ports.chain([("eth0", TC_INGRESS, XDP_INGRESS)]) {
        let index = ifindex(netns, device)?;
        inside(netns, || Ok(maps.tx_ports.insert(index, index, None, 0)?))?;
        programs::attach(ebpf, (tc, Hook::Tc), netns, device)?;
        if hook == Hook::Xdp {
            programs::attach(ebpf, (xdp, Hook::Xdp), netns, device)?;
        }
    }
    Ok(())
}

/// Counts what port `a` was refused for a reason.
pub(super) fn refused(counts: &Arc<Counts>, refusal: Refusal) -> Reader {
    let counts = Arc::clone(counts);
    let index = drop_index(SLOT_A, Direction::Egress, refusal.reason());
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
