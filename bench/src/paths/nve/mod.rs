//! Ours: the real object with the real maps, filled as `nved` would fill them.

mod bulk;
mod host;
mod rewriting;
mod states;
mod tables;

use std::any::Any;

use anyhow::Result;

use super::{Absence, Built, route, topology::Topology};
use crate::{
    programs::Hook,
    scenario::{Scenario, Work},
};
use dataplane_common::abi::lookup::LookupRecord;
use host::Handles;
pub use states::{States, looks};

/// Builds the path with our programs at a hook; at XDP, TC has its programs too, as in the product.
pub fn build(hook: Hook, scenario: &Scenario) -> Result<Built, Absence> {
    super::refuse_frames_of_skbs(hook, scenario)?;
    Ok(stand(hook, scenario, None)?)
}

/// The path to the underlay, whose records are written with these states in turns.
pub fn alternating(hook: Hook, scenario: &Scenario, states: States) -> Result<Built> {
    stand(hook, scenario, Some(states))
}

fn stand(hook: Hook, scenario: &Scenario, states: Option<States>) -> Result<Built> {
    let topology = Topology::of(scenario)?;
    if hook == Hook::Xdp {
        // XDP redirects no frame whose checksum is still to be completed.
        super::peer::without_offloads(&topology)?;
    }
    let mut specs = tables::hosts(scenario, &topology)?;
    // The first one looks the keys up.
    let first = specs.remove(0);
    let first = match states {
        Some(_) => states::with_both(first),
        None => first,
    };
    let (host, Handles { lookup, counts }) = host::start(hook, &first, &topology)?;
    let mut hosts = vec![host];
    let mut readers = vec![counts];
    for spec in &specs {
        let (host, handles) = host::start(hook, spec, &topology)?;
        hosts.push(host);
        readers.push(handles.counts);
    }
    super::open_gates(hook, scenario, &topology)?;
    let rewrite = if let Some(states) = states {
        host::rewrite(lookup, states.turns(scenario))
    } else {
        // What is equal is not written: no packet here goes by this flag.
        let mut turn = 0;
        host::rewrite(lookup, move |number| {
            turn ^= LookupRecord::VIA;
            let record = first.record(number);
            let flags = record.flags ^ turn;
            LookupRecord { flags, ..record }
        })
    };
    let counted = match scenario.work {
        Work::Drop(refusal) => Some(host::refused(&readers[0], refusal)),
        Work::Encap
        | Work::Decap
        | Work::EncapDecap
        | Work::RewriteOut
        | Work::RewriteIn
        | Work::RewriteOutIn
        | Work::SameHost => None,
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
