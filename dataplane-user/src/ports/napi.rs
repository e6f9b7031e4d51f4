//! Whether frames that XDP redirects into a veth arrive at its other end.
//!
//! They do only while NAPI runs there, which takes an XDP program or GRO; else they vanish
//! without an error. The kernel tells of it at our end (`xdp-features`), so nothing that a
//! tenant does makes us look into its namespace more than once a second. That word is stale
//! after the other end was down and up; then we look there.

use std::{
    collections::BTreeMap,
    io,
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

use libbpf_rs::{Xdp, XdpFlags};
use rtnetlink::Handle;

use super::{
    ethtool,
    features::redirect_targets,
    names,
    netns::{self, NetNsError, OWN},
    place,
};
use crate::netdev::{NetDevice, OtherEnd};

/// A device that XDP programs redirect into.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whose it is, as `port blue/vm1`.
    pub owner: String,
    /// The device.
    pub device: NetDevice,
    /// Name of the namespace where its other end should be.
    pub netns: Option<String>,
}

/// Looks after the other ends of veths.
pub struct Watch {
    handle: Handle,
    known: BTreeMap<u32, Known>,
    looked: Option<Instant>,
}

#[derive(Default)]
struct Known {
    end: OtherEnd,
    carrier_ups: u32,
    fault: Option<String>,
}

/// What a look into the other namespace found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// Redirects arrive.
    Works,
    /// They do since now: GRO was off at the device of this name.
    SetRight(Vec<u8>),
    /// They do not: GRO is off at the device of this name.
    Off(Vec<u8>),
}

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(800);
/// Looks into other namespaces at a time at most; the others come next time.
const VISITS: usize = 32;

impl Watch {
    /// A watch that asks through `handle`.
    pub fn new(handle: Handle) -> Self {
        Self {
            handle,
            known: BTreeMap::new(),
            looked: None,
        }
    }

    /// Whether it is time to look again at these devices, by index.
    pub fn due(&self, mut devices: impl Iterator<Item = u32>) -> bool {
        let lately = |at: Instant| at.elapsed() < PERIOD;
        !self.looked.is_some_and(lately) || devices.any(|index| !self.known.contains_key(&index))
    }

    /// What does not work, one sentence each, as of the last look.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        self.known.values().filter_map(|known| known.fault.clone())
    }

    /// Looks at the targets: sets right what is new, and remembers what is wrong with the rest.
    pub async fn look(&mut self, targets: Vec<Target>) {
        self.looked = Some(Instant::now());
        let mut before = std::mem::take(&mut self.known);
        if targets.is_empty() {
            return;
        }
        // Without an answer nothing is known of any device.
        let takes = redirect_targets().unwrap_or_default();
        let mut visits = VISITS;
        for target in targets {
            let device = &target.device;
            let takes = takes.get(&device.ifindex).copied();
            let old = before.remove(&device.ifindex);
            let old = old.filter(|known| known.end == device.other_end);
            // Without a carrier the other end is down, and nobody expects frames there.
            if !device.carrier {
                let kept = old.map(|known| {
                    (
                        device.ifindex,
                        Known {
                            fault: None,
                            ..known
                        },
                    )
                });
                self.known.extend(kept);
            } else if !needs_visit(&target, takes, old.as_ref()) {
                self.remember(&target, None);
            } else if visits > 0 {
                visits -= 1;
                let fault = self.visit(&target, takes, old.is_none()).await;
                self.remember(&target, fault);
            } else if let Some(old) = old {
                self.known.insert(device.ifindex, old);
            }
        }
    }

    fn remember(&mut self, target: &Target, fault: Option<String>) {
        let device = &target.device;
        let known = Known {
            end: device.other_end,
            carrier_ups: device.carrier_ups,
            fault,
        };
        self.known.insert(device.ifindex, known);
    }

    /// Looks into the other namespace; what is wrong there.
    async fn visit(&self, target: &Target, takes: Option<bool>, new: bool) -> Option<String> {
        let end = target.device.other_end;
        let place = place::find(&self.handle, end.netns_id, target.netns.as_deref()).await;
        let Some(netns) = place else {
            return lost_sight(target, takes);
        };
        let place = netns.path.display().to_string();
        let found = netns.run(async move |_| inspect(end.ifindex, takes, new));
        let (owner, name) = (&target.owner, &target.device.name);
        match found.await {
            Ok(Found::Works) => None,
            Ok(Found::SetRight(other)) => {
                let index = || format!("index {}", end.ifindex);
                let other = names::plain(&other).map_or_else(index, str::to_owned);
                tracing::info!(
                    "{owner}: switched GRO on at {other} in {place}, the other end of {name}, for XDP redirects into it"
                );
                None
            }
            Ok(Found::Off(other)) => Some(off(target, &netns.path, &other)),
            Err(error) => Some(format!(
                "{owner}: cannot check whether XDP redirects into interface {name} arrive: {place}: {error}"
            )),
        }
    }
}

/// Whether the kernel's word at our end is not enough: `takes` is whether it takes the device
/// for a target of redirects, if it tells.
fn needs_visit(target: &Target, takes: Option<bool>, old: Option<&Known>) -> bool {
    match (takes, old) {
        (Some(true), Some(old)) => {
            old.fault.is_some() || old.carrier_ups != target.device.carrier_ups
        }
        // A veth of ours was just set up.
        (Some(true), None) => target.netns.is_none(),
        (Some(false) | None, _) => true,
    }
}

fn inspect(ifindex: u32, takes: Option<bool>, new: bool) -> Result<Found, NetNsError> {
    let name = netns::end(ifindex)?.name;
    let gro = ethtool::gro(&name)?;
    if !gro && !has_xdp(ifindex) {
        if !new {
            return Ok(Found::Off(name));
        }
        ethtool::set_gro(&name, true)?;
        return Ok(Found::SetRight(name));
    }
    if takes == Some(false) && gro {
        // It was switched on while the device was down, which the other end does not notice.
        ethtool::set_gro(&name, false)?;
        ethtool::set_gro(&name, true)?;
    }
    Ok(Found::Works)
}

/// Whether a device of the calling thread's namespace has an XDP program in its driver.
fn has_xdp(ifindex: u32) -> bool {
    // The library wants a program's descriptor also where the kernel is only asked.
    let none = io::stderr();
    let found = Xdp::new(none.as_fd()).query(ifindex.cast_signed(), XdpFlags::NONE);
    found.is_ok_and(|found| found.drv_prog_id != 0)
}

/// `path` is where the other end is.
fn off(target: &Target, path: &Path, other: &[u8]) -> String {
    let Target { owner, device, .. } = target;
    let (name, index) = (&device.name, device.other_end.ifindex);
    let path = path.display().to_string();
    let (place, enter) = if path == OWN {
        (String::new(), String::new())
    } else {
        (format!(" in {path}"), format!("nsenter --net={path} "))
    };
    let told = format!(
        "{owner}: packets that XDP redirects into interface {name} are lost, because GRO is off at its other end"
    );
    match names::plain(other) {
        Some(other) => format!("{told}, {other}{place}; run: {enter}ethtool -K {other} gro on"),
        None => format!(
            "{told}, index {index}{place}, whose name is not safe in a command; switch its GRO on or rename it"
        ),
    }
}

/// The other end is in a namespace that has no name and no process that we may look at.
fn lost_sight(target: &Target, takes: Option<bool>) -> Option<String> {
    let Target { owner, device, .. } = target;
    let (name, index) = (&device.name, device.other_end.ifindex);
    match takes {
        Some(true) => None,
        Some(false) => Some(format!(
            "{owner}: packets that XDP redirects into interface {name} are lost, because GRO is off at its other end, index {index} in a namespace that nved does not find; run there: ethtool -K DEV gro on"
        )),
        None => Some(format!(
            "{owner}: cannot check whether XDP redirects into interface {name} arrive: nved does not find the namespace of its other end; see that GRO is on there"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(netns: Option<&str>) -> Target {
        Target {
            owner: "port blue/vm1".into(),
            device: NetDevice {
                name: "tap5".into(),
                carrier_ups: 2,
                ..NetDevice::default()
            },
            netns: netns.map(str::to_owned),
        }
    }

    fn known(carrier_ups: u32, fault: Option<&str>) -> Known {
        Known {
            carrier_ups,
            fault: fault.map(str::to_owned),
            ..Known::default()
        }
    }

    #[test]
    fn the_kernels_word_is_enough_until_the_other_end_was_down() {
        let visit = |takes, known: Option<Known>| needs_visit(&target(None), takes, known.as_ref());
        assert!(!visit(Some(true), Some(known(2, None))));
        assert!(visit(Some(true), Some(known(1, None))), "flapped");
        assert!(visit(Some(true), Some(known(2, Some("off")))), "mended?");
        assert!(visit(Some(true), None), "a new one of others");
        assert!(!needs_visit(&target(Some("vm1")), Some(true), None));
        for takes in [Some(false), None] {
            assert!(visit(takes, Some(known(2, None))));
        }
    }

    #[test]
    fn no_tenants_words_come_into_a_command() {
        let said = |name: &[u8]| off(&target(None), Path::new("/run/netns/vm1"), name);
        let command = "run: nsenter --net=/run/netns/vm1 ethtool -K eth0 gro on";
        assert!(said(b"eth0").ends_with(command), "{}", said(b"eth0"));
        for name in [&b"$(reboot)"[..], b"-K", b"a;b", b"\x1b[2J", b"\xff"] {
            let said = said(name);
            assert!(
                !said.contains("run: ") && said.contains("index 0"),
                "{said}"
            );
            assert!(!said.contains(&*String::from_utf8_lossy(name)), "{said}");
        }
    }

    #[test]
    fn a_namespace_out_of_sight_is_a_fault_only_if_something_may_be_wrong() {
        let said = |takes| lost_sight(&target(None), takes);
        assert_eq!(said(Some(true)), None);
        assert!(said(Some(false)).is_some_and(|text| text.contains("are lost")));
        assert!(said(None).is_some_and(|text| text.contains("cannot check")));
    }
}
