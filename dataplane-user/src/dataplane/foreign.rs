//! Programs of somebody else on a device: shown, worked beside, and never displaced.

use std::{collections::BTreeSet, fmt, io::stderr, os::fd::AsFd};

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType, loaded_programs};
use libbpf_rs::{Xdp, XdpFlags};

use super::{
    clsact,
    links::Device,
    load::{TC_EGRESS, TC_INGRESS, XDP_EGRESS, XDP_INGRESS},
};

/// A program that our pins do not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// `tcx`, `clsact` or `xdp`.
    pub hook: &'static str,
    /// The kernel's number of it.
    pub id: u32,
    /// Its name; the kernel keeps 15 characters.
    pub name: String,
    /// It gets packets before ours does.
    pub before: bool,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hook, id, name, .. } = self;
        let order = if self.before { "before" } else { "after" };
        write!(f, "{name} (id {id}) at {hook}, {order} nve")
    }
}

impl Foreign {
    /// Whether it is a program of another nved.
    pub fn is_rival(&self) -> bool {
        [TC_EGRESS, TC_INGRESS, XDP_EGRESS, XDP_INGRESS].contains(&self.name.as_str())
    }
}

/// By what programs of ours are known.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Ids of those that are loaded, and of those that pins name.
    pub programs: BTreeSet<u32>,
    /// Id of the map in which all of them count: a program that a killed start left attached
    /// before it was pinned has it too.
    pub counters: u32,
}

impl Own {
    fn has(&self, info: &ProgramInfo) -> bool {
        let counts = || info.map_ids().ok().flatten();
        self.programs.contains(&info.id())
            || counts().is_some_and(|maps| maps.contains(&self.counters))
    }

    /// Whether the program with this id is ours.
    pub fn has_id(&self, id: u32) -> bool {
        self.programs.contains(&id) || by_id(id).is_some_and(|info| self.has(&info))
    }
}

/// Programs of others on a device.
pub fn on(device: &Device, ours: &Own) -> Vec<Foreign> {
    let mut found = at_tcx(device, ours);
    for (hook, id) in beside_tcx(device.ifindex) {
        let theirs = id.filter(|id| !ours.has_id(*id));
        found.extend(theirs.map(|id| Foreign {
            hook,
            id,
            name: name(by_id(id).as_ref()),
            before: true,
        }));
    }
    found
}

/// Whether a program runs on a device; `None` when the kernel does not tell.
pub fn runs(id: u32, hook: &str, device: &Device) -> Option<bool> {
    if hook == "xdp" {
        let [_, (_, at_xdp)] = beside_tcx(device.ifindex);
        return Some(at_xdp == Some(id));
    }
    let (_, chain) = SchedClassifier::query_tcx(&device.name, TcAttachType::Ingress).ok()?;
    Some(chain.iter().any(|info| info.id() == id))
}

fn tcx(device: &Device) -> Vec<ProgramInfo> {
    // Kernels without tcx have nobody there.
    let queried = SchedClassifier::query_tcx(&device.name, TcAttachType::Ingress);
    queried.map(|(_, programs)| programs).unwrap_or_default()
}

/// The filter in our place at clsact, and the program at XDP.
fn beside_tcx(ifindex: u32) -> [(&'static str, Option<u32>); 2] {
    // The library wants a program's descriptor also where the kernel is only asked.
    let none = stderr();
    let at_xdp = Xdp::new(none.as_fd()).query_id(ifindex.cast_signed(), XdpFlags::NONE);
    [
        ("clsact", clsact::query(ifindex)),
        ("xdp", at_xdp.ok().filter(|id| *id != 0)),
    ]
}

/// tcx runs its programs in order, and ours leaves to the next what is not ours.
fn at_tcx(device: &Device, ours: &Own) -> Vec<Foreign> {
    let programs = tcx(device);
    let place = programs.iter().position(|info| ours.has(info));
    let numbered = programs.iter().enumerate();
    let others = numbered.filter(|(_, info)| !ours.has(info));
    others
        .map(|(index, info)| Foreign {
            hook: "tcx",
            id: info.id(),
            name: name(Some(info)),
            before: place.is_none_or(|place| index < place),
        })
        .collect()
}

fn by_id(id: u32) -> Option<ProgramInfo> {
    loaded_programs().flatten().find(|info| info.id() == id)
}

fn name(info: Option<&ProgramInfo>) -> String {
    let name = info.and_then(ProgramInfo::name_as_str);
    name.unwrap_or("a program without a name").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_nved_is_told_from_other_programs() {
        let mut program = Foreign {
            hook: "tcx",
            id: 17,
            name: "cil_from_netdev".into(),
            before: true,
        };
        assert_eq!(
            program.to_string(),
            "cil_from_netdev (id 17) at tcx, before nve"
        );
        assert!(!program.is_rival());
        program.name = TC_INGRESS.into();
        assert!(program.is_rival());
    }
}
