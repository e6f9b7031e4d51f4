//! The do-nothing twins: the same devices as ours, and programs that only redirect.

use anyhow::Result;
use aya::{Ebpf, maps::xdp::DevMapHash};

use super::{
    Absence, Built, route,
    route::Hop,
    topology::{Topology, ifindex, inside},
};
use crate::{
    programs::{self, Hook},
    scenario::{Scenario, Sink, Work},
};

/// Builds the twin of our programs at a hook.
pub fn build(hook: Hook, scenario: &Scenario) -> Result<Built, Absence> {
    super::refuse_frames_of_skbs(hook, scenario)?;
    Ok(stand(hook, scenario)?)
}

fn stand(hook: Hook, scenario: &Scenario) -> Result<Built> {
    let topology = Topology::of(scenario)?;
    let hops = scenario.work.hops().iter();
    let copies: Vec<Ebpf> = hops
        .chain(scenario.work.hops_back())
        .map(|hop| redirect(hook, *hop, &topology))
        .collect::<Result<_>>()?;
    super::open_gates(hook, scenario, &topology)?;
    let mut keep: Vec<Box<dyn std::any::Any + Send>> = vec![Box::new(copies)];
    let dropped = matches!(scenario.work, Work::Drop(_));
    let (source, sink, rest) = route::places(topology, scenario.work);
    keep.push(Box::new(rest));
    let mut counted: Option<super::Reader> = None;
    if dropped {
        // The twin of a refusal is a program that drops and counts.
        let form = match hook {
            Hook::Xdp => Sink::Frame,
            Hook::Tc => Sink::Skb,
        };
        let refusal = crate::sink::Sink::attach(&sink, form)?;
        counted = Some(Box::new(move || refusal.received()));
    }
    Ok(Built {
        source,
        sink,
        frames: route::frames(scenario),
        counted,
        counters: None,
        rewrite: None,
        keep: Box::new(keep),
    })
}

fn redirect(hook: Hook, hop: Hop, topology: &Topology) -> Result<Ebpf> {
    let netns = topology.host(hop.on_b);
    let target = ifindex(netns, hop.to)?;
    let to_peer = u32::from(hop.to_tenant());
    let mut loader = programs::loader();
    programs::set(&mut loader, "TARGET", &target);
    programs::set(&mut loader, "TO_PEER", &to_peer);
    let mut ebpf = loader.load(programs::OBJECT)?;
    inside(netns, || {
        let map = ebpf
            .map_mut("DEVICES")
            .ok_or_else(|| anyhow::anyhow!("no such map"))?;
        DevMapHash::try_from(map)?.insert(target, target, None, 0)?;
        Ok(())
    })?;
    let program = match hook {
        Hook::Xdp => "bench_twin_xdp",
        Hook::Tc => "bench_twin_tc",
    };
    programs::attach(&mut ebpf, (program, hook), netns, hop.from)?;
    Ok(ebpf)
}
