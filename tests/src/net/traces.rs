//! What a dataplane could leave behind: in a namespace, in the kernel, among the pins.

use super::{SOON, has_tcx, inside};
use anyhow::{Context, Result, ensure};
use aya::programs::{SchedClassifier, TcAttachType};
use libbpf_rs::{libbpf_sys, query::LinkInfoIter};
use std::{collections::BTreeSet, fmt::Write as _, fs, iter};
use xtask::lab::{Netns, wait_until};

/// All that `ip`, `tc` and the kernel's tcx lists tell of a namespace.
pub fn traces(netns: &Netns) -> Result<String> {
    let mut told = String::new();
    for command in [
        &["ip", "-details", "link"][..],
        &["ip", "address"],
        &["ip", "route", "show", "table", "all"],
        &["ip", "rule"],
        &["tc", "qdisc"],
    ] {
        told += &netns.exec(command)?.stdout;
    }
    // What the kernel learned by itself comes and goes.
    let neighbours = netns.exec(&["ip", "neighbour"])?.stdout;
    let kept = |line: &&str| {
        let words = ["PERMANENT", "managed", "extern_learn", "proxy"];
        words.iter().any(|word| line.contains(word))
    };
    told.extend(neighbours.lines().filter(kept));
    for device in devices(netns)? {
        for direction in ["ingress", "egress"] {
            let show = ["tc", "filter", "show", "dev", &device, direction];
            told += &netns.exec(&show)?.stdout;
        }
        writeln!(told, "{device}: {} at tcx", at_tcx(netns, &device)?)?;
    }
    Ok(told)
}

fn devices(netns: &Netns) -> Result<Vec<String>> {
    let listed = netns.exec(&["ip", "-brief", "link"])?.stdout;
    let names = listed
        .lines()
        .filter_map(|line| line.split(['@', ' ']).next());
    Ok(names.map(str::to_owned).collect())
}

fn at_tcx(netns: &Netns, device: &str) -> Result<usize> {
    if !has_tcx() {
        return Ok(0);
    }
    inside(netns, || {
        let query = |direction| SchedClassifier::query_tcx(device, direction);
        let (_, ingress) = query(TcAttachType::Ingress)?;
        let (_, egress) = query(TcAttachType::Egress)?;
        Ok(ingress.len() + egress.len())
    })
}

/// Objects of the kernel's BPF, as `program 12`, `map 7` or `link 3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects(BTreeSet<String>);

impl Objects {
    /// Those that a process holds, and the links of its programs.
    pub fn of(pid: u32) -> Result<Self> {
        let mut held = BTreeSet::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))?.flatten() {
            // A descriptor may be closed by now.
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            held.extend(text.lines().filter_map(object));
        }
        let links = LinkInfoIter::default();
        let ours = links.filter(|link| held.contains(&format!("program {}", link.prog_id)));
        let links: Vec<_> = ours.map(|link| format!("link {}", link.id)).collect();
        held.extend(links);
        for kind in ["program", "map"] {
            let some = held.iter().any(|object| object.starts_with(kind));
            ensure!(some, "process {pid} holds no {kind}: {held:?}");
        }
        Ok(Self(held))
    }

    /// How many links are among them.
    pub fn links(&self) -> usize {
        let links = self.0.iter().filter(|object| object.starts_with("link"));
        links.count()
    }

    /// Waits until the kernel has freed them all.
    pub fn gone(&self) -> Result<()> {
        wait_until("BPF objects to be freed", SOON, || {
            let left: Vec<_> = self.0.intersection(&loaded()).cloned().collect();
            ensure!(left.is_empty(), "{left:?} are still there");
            Ok(Some(()))
        })
    }
}

fn object(line: &str) -> Option<String> {
    let (key, id) = line.split_once(':')?;
    let kind = match key {
        "prog_id" => "program",
        "map_id" => "map",
        "link_id" => "link",
        _ => return None,
    };
    Some(format!("{kind} {}", id.trim()))
}

/// All that is loaded, by number. Nothing is opened for that: whoever opens and closes a program array
/// while the kernel empties it for the last time keeps it for ever, for the kernel then takes a
/// reference for work that is queued already (`prog_array_map_clear`).
fn loaded() -> BTreeSet<String> {
    let kinds: [(&str, NextId); 3] = [
        ("program", libbpf_sys::bpf_prog_get_next_id),
        ("map", libbpf_sys::bpf_map_get_next_id),
        ("link", libbpf_sys::bpf_link_get_next_id),
    ];
    let all = kinds.into_iter().flat_map(|(kind, next)| {
        let ids = iter::successors(after(next, 0), move |id| after(next, *id));
        ids.map(move |id| format!("{kind} {id}"))
    });
    all.collect()
}

type NextId = unsafe extern "C" fn(u32, *mut u32) -> i32;

/// The number that follows.
fn after(next: NextId, id: u32) -> Option<u32> {
    let mut found = 0;
    // SAFETY: the function writes a number to where `found` is, and nothing else.
    (unsafe { next(id, &raw mut found) } == 0).then_some(found)
}

/// [`traces`] of several namespaces, by name.
pub fn all_traces(names: &[String]) -> Result<Vec<(String, String)>> {
    let one = |name: &String| {
        let netns = Netns::adopt(name)?.context("the namespace is gone")?;
        let found = traces(&netns);
        netns.leave();
        Ok((name.clone(), found?))
    };
    names.iter().map(one).collect()
}
