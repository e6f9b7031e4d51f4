//! Programs on uplinks and ports.

use std::path::PathBuf;

use super::{
    Dataplane, Error, clsact, explain,
    foreign::{self, Foreign},
    links::{self, Device, Hook, LinkFailure, pin_path},
    load::{TC_EGRESS, TC_EXTERNAL, TC_INGRESS, TC_UPCALL, XDP_EGRESS, XDP_INGRESS, XDP_UPCALL},
    qdisc, queues, running,
};
use crate::{policy::document::PortMode, settings::UplinkMode};

/// Hooks in use on an uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooks {
    /// TC alone.
    Tc,
    /// XDP, and TC for what it leaves.
    XdpTc,
}

impl Hooks {
    /// As in `Status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::XdpTc => "xdp+tc",
        }
    }
}

impl Dataplane {
    /// Attaches to an uplink, or takes over what is attached.
    pub fn attach_uplink(
        &mut self,
        device: &Device,
        driver: &str,
        mode: UplinkMode,
    ) -> Result<Hooks, Error> {
        self.refuse_rivals(device)?;
        self.attach_tc(TC_INGRESS, device)?;
        let hooks = match mode {
            UplinkMode::Tc => Hooks::Tc,
            // A veth hands over super-packets that XDP cannot take.
            UplinkMode::Auto if driver == "veth" => Hooks::Tc,
            UplinkMode::Auto => match self.attach_xdp(XDP_INGRESS, device, Some(driver)) {
                Ok(()) => Hooks::XdpTc,
                Err(error) => {
                    tracing::info!("{error}; interface {} uses tc instead", device.name);
                    Hooks::Tc
                }
            },
            UplinkMode::Xdp => {
                self.attach_xdp(XDP_INGRESS, device, Some(driver))?;
                if driver == "veth" {
                    tracing::warn!(
                        "interface {} is a veth at XDP: TCP only works while offloads are off at its other end (ethtool -K DEV tx off); --uplink-mode tc has no such need",
                        device.name
                    );
                }
                Hooks::XdpTc
            }
        };
        if hooks == Hooks::Tc {
            self.detach_hook("xdp", device.ifindex)?;
        }
        self.add_tx_port(device.ifindex)?;
        Ok(hooks)
    }

    /// Programs of others on a device.
    pub fn others(&self, device: &Device) -> Vec<Foreign> {
        foreign::on(device, &self.own)
    }

    /// Whether an uplink's programs are still attached.
    pub fn holds_uplink(&self, ifindex: u32, hooks: Hooks) -> bool {
        self.holds(self.tc_hook.as_str(), ifindex)
            && (hooks == Hooks::Tc || self.holds("xdp", ifindex))
            && self.is_tx_port(ifindex)
    }

    /// Whether a port's programs are still attached.
    pub fn holds_port(&self, ifindex: u32, mode: PortMode) -> bool {
        self.holds(self.tc_hook.as_str(), ifindex)
            && (mode == PortMode::Tc || self.holds("xdp", ifindex))
            && self.is_tx_port(ifindex)
    }

    /// Attaches to a port's device, or takes over what is attached.
    pub fn attach_port(&mut self, device: &Device, mode: PortMode) -> Result<(), Error> {
        self.refuse_rivals(device)?;
        self.attach_tc(TC_EGRESS, device)?;
        match mode {
            PortMode::Tc => self.detach_hook("xdp", device.ifindex)?,
            PortMode::Xdp => self.attach_xdp(XDP_EGRESS, device, None)?,
        }
        self.add_tx_port(device.ifindex)
    }

    /// Attaches to an external interface, or takes over what is attached.
    pub fn attach_external(&mut self, device: &Device) -> Result<(), Error> {
        self.refuse_rivals(device)?;
        self.attach_tc(TC_EXTERNAL, device)
    }

    /// Whether an external interface's program is still attached.
    pub fn holds_external(&self, ifindex: u32) -> bool {
        self.holds(self.tc_hook.as_str(), ifindex)
    }

    /// Attaches to both ends of the upcall pair, or takes over what is attached.
    pub fn attach_upcall(&mut self, near: &Device, far: &Device) -> Result<(), Error> {
        self.refuse_rivals(near)?;
        self.attach_xdp(XDP_UPCALL, far, None)?;
        self.attach_tc(TC_UPCALL, near)
    }

    /// Whether the upcall pair's programs are still attached.
    pub fn holds_upcall(&self, near: u32, far: u32) -> bool {
        self.holds(self.tc_hook.as_str(), near) && self.holds("xdp", far)
    }

    fn attach_tc(&mut self, name: &'static str, device: &Device) -> Result<(), Error> {
        let hook = self.tc_hook;
        let folder = self.pin.clone();
        let own = self.own.clone();
        let pin = self.pin_for(hook.as_str(), device)?;
        let program = self.classifier(name)?;
        let done = match hook {
            Hook::Tcx => links::tcx(program, device, &pin),
            Hook::Clsact => qdisc::ensure(&folder, device)
                .map_err(LinkFailure::from)
                .and_then(|()| clsact::attach(program, device, &pin, &own)),
        };
        done.map_err(|failure| Error::Attach {
            program: name,
            interface: device.name.clone(),
            reason: explain::tc(&failure, hook),
            lack: explain::is_lack(&failure),
        })?;
        self.detach_hook(hook.other().as_str(), device.ifindex)?;
        // Another nved may have come at the same moment: the first in the chain stays.
        let others = self.others(device).into_iter();
        let first = others.filter(Foreign::is_rival).find(|rival| rival.before);
        let Some(rival) = first else { return Ok(()) };
        self.detach_hook(hook.as_str(), device.ifindex)?;
        Err(in_use(device, rival))
    }

    /// One dataplane for one device: two would take packets from each other.
    fn refuse_rivals(&self, device: &Device) -> Result<(), Error> {
        let rival = self.others(device).into_iter().find(Foreign::is_rival);
        rival.map_or(Ok(()), |rival| Err(in_use(device, rival)))
    }

    /// `driver` is an uplink's; a port has none.
    fn attach_xdp(
        &mut self,
        name: &'static str,
        device: &Device,
        driver: Option<&str>,
    ) -> Result<(), Error> {
        let pin = self.pin_for("xdp", device)?;
        let new = !pin.exists();
        if let Some(reason) = queues::hazard(&device.name).filter(|_| new) {
            return Err(Error::Attach {
                program: name,
                interface: device.name.clone(),
                reason,
                lack: true,
            });
        }
        let Err(failure) = links::xdp(self.xdp(name)?, device, &pin) else {
            return Ok(());
        };
        let mut others = self.others(device).into_iter();
        let other = others.find(|other| other.hook == "xdp");
        Err(Error::Attach {
            program: name,
            interface: device.name.clone(),
            reason: explain::xdp(&failure, other, driver),
            lack: explain::is_lack(&failure),
        })
    }

    /// The pin of an attachment. What it holds elsewhere is let go: the device moved to another
    /// namespace, and this one got its index.
    fn pin_for(&self, hook: &str, device: &Device) -> Result<PathBuf, Error> {
        let pin = pin_path(&self.pin, hook, device.ifindex);
        if hook == Hook::Clsact.as_str() || !pin.exists() {
            return Ok(pin);
        }
        let id = running::program(hook, &pin);
        let here = id.is_some_and(|id| foreign::runs(id, hook, device).unwrap_or(true));
        if !here || !links::holds(&pin, hook, device.ifindex) {
            self.detach_hook(hook, device.ifindex)?;
        }
        Ok(pin)
    }

    fn add_tx_port(&mut self, ifindex: u32) -> Result<(), Error> {
        self.maps
            .tx_ports
            .insert(ifindex, ifindex, None, 0)
            .map_err(|source| Error::TxPort { ifindex, source })
    }

    /// A device leaves the map when it goes to another namespace, even if it comes back.
    fn is_tx_port(&self, ifindex: u32) -> bool {
        self.maps.tx_ports.get(ifindex, 0).is_ok()
    }

    fn holds(&self, hook: &str, ifindex: u32) -> bool {
        links::holds(&pin_path(&self.pin, hook, ifindex), hook, ifindex)
    }
}

fn in_use(device: &Device, rival: Foreign) -> Error {
    Error::InUse {
        interface: device.name.clone(),
        rival,
    }
}
