//! Ours: the real object with the real maps, filled as `nved` would fill them.

mod bulk;
mod host;
mod tables;

use std::any::Any;

use anyhow::Result;

use super::{Absence, Built, route, topology::Topology};
use crate::{
    programs::Hook,
    scenario::{Scenario, Work},
};
use host::Host;

/// Builds the path with our programs at a hook; at XDP, TC has its programs too, as in the product.
pub fn build(hook: Hook, scenario: &Scenario) -> Result<Built, Absence> {
    super::refuse_frames_of_skbs(hook, scenario)?;
    Ok(stand(hook, scenario)?)
}

fn stand(hook: Hook, scenario: &Scenario) -> Result<Built> {
    let topology = Topology::of(scenario)?;
    if hook == Hook::Xdp {
        // XDP redirects no frame whose checksum is still to be completed.
        super::peer::without_offloads(&topology)?;
    }
    let specs = tables::hosts(scenario, &topology)?;
    let mut hosts = specs
        .iter()
        .map(|spec| Host::start(hook, spec, &topology))
        .collect::<Result<Vec<_>>>()?;
    super::open_gates(hook, scenario, &topology)?;
    // The first one looks the keys up.
    let rewrite = hosts[0].take_lookup(specs[0].record)?;
    let readers: Vec<_> = hosts
        .iter_mut()
        .map(Host::take_counters)
        .collect::<Result<_>>()?;
    let counted = match scenario.work {
        Work::Drop(refusal) => Some(host::refused(&readers[0], refusal)),
        Work::Encap | Work::Decap | Work::EncapDecap | Work::SameHost => None,
    };
    let (source, sink, rest) = route::places(topology, scenario.work);
    let keep: Box<dyn Any + Send> = Box::new((hosts, rest));
    Ok(Built {
        source,
        sink,
        frames: route::frames(scenario),
        counted,
        counters: Some(host::counters(readers)),
        rewrite: Some(rewrite),
        keep,
    })
}
