//! Programs on uplinks and ports.

use std::{collections::BTreeSet, os::fd::AsFd, path::PathBuf};

use super::{
    Dataplane, Error, foreign,
    links::{self, Device, Hook, LINKS, LinkFailure, parse_pin, pin_path},
    load::{MAPS_FOLDER, TC_EGRESS, TC_INGRESS, XDP_EGRESS, XDP_INGRESS},
    maps::failed,
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

/// What [`Dataplane::unload`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// As `interface hook`.
    pub detached: Vec<String>,
    /// Files.
    pub pins: usize,
}

impl Dataplane {
    /// Attaches to an uplink, or takes over what is attached.
    pub fn attach_uplink(
        &mut self,
        device: &Device,
        driver: &str,
        mode: UplinkMode,
    ) -> Result<Hooks, Error> {
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

    /// Attaches to a port's device, or takes over what is attached.
    pub fn attach_port(&mut self, device: &Device, mode: PortMode) -> Result<(), Error> {
        self.attach_tc(TC_EGRESS, device)?;
        match mode {
            PortMode::Tc => self.detach_hook("xdp", device.ifindex)?,
            PortMode::Xdp => self.attach_xdp(XDP_EGRESS, device, None)?,
        }
        self.add_tx_port(device.ifindex)
    }

    /// Detaches from every device that is not in `keep`; their indexes.
    pub fn detach_others(&mut self, keep: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Error> {
        let mut gone = BTreeSet::new();
        for (hook, ifindex) in self.pins()? {
            if !keep.contains(&ifindex) {
                self.detach_hook(&hook, ifindex)?;
                gone.insert(ifindex);
            }
        }
        for ifindex in self.tx_ports()? {
            if !keep.contains(&ifindex) {
                // A device that is gone left the map by itself.
                let _ = self.maps.tx_ports.remove(ifindex);
            }
        }
        Ok(gone)
    }

    /// Detaches everything and removes every pin; `name` tells a device's name.
    pub fn unload(&mut self, name: impl Fn(u32) -> Option<String>) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        for (hook, ifindex) in self.pins()? {
            let name = name(ifindex);
            self.detach_hook(&hook, ifindex)?;
            let name = name.unwrap_or_else(|| format!("interface {ifindex}"));
            removed.detached.push(format!("{name} {hook}"));
            removed.pins += 1;
        }
        let folder = self.pin.join(MAPS_FOLDER);
        for file in entries(&folder)? {
            std::fs::remove_file(&file).map_err(pin_failed(&file))?;
            removed.pins += 1;
        }
        for folder in [folder, self.pin.join(LINKS), self.pin.clone()] {
            // A mount point stays; so does a folder with files of others.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(removed)
    }

    fn attach_tc(&mut self, name: &'static str, device: &Device) -> Result<(), Error> {
        let hook = self.tc_hook;
        let pin = pin_path(&self.pin, hook.as_str(), device.ifindex);
        let program = self.classifier(name)?;
        let done = match hook {
            Hook::Tcx => links::tcx(program, device, &pin),
            Hook::Clsact => links::clsact(program, device, &pin),
        };
        done.map_err(|failure| Error::Attach {
            program: name,
            interface: device.name.clone(),
            reason: format!("{}; see --tc-hook", chain(&failure)),
        })?;
        self.detach_hook(hook.other().as_str(), device.ifindex)
    }

    /// `driver` is an uplink's; a port has none.
    fn attach_xdp(
        &mut self,
        name: &'static str,
        device: &Device,
        driver: Option<&str>,
    ) -> Result<(), Error> {
        let pin = pin_path(&self.pin, "xdp", device.ifindex);
        let program = self.xdp(name)?;
        let Err(failure) = links::xdp(program, device, &pin) else {
            return Ok(());
        };
        let other = program
            .fd()
            .ok()
            .and_then(|fd| foreign::xdp(fd.as_fd(), device.ifindex));
        Err(Error::Attach {
            program: name,
            interface: device.name.clone(),
            reason: explain(&failure, other, driver),
        })
    }

    fn detach_hook(&self, hook: &str, ifindex: u32) -> Result<(), Error> {
        let pin = pin_path(&self.pin, hook, ifindex);
        links::detach(&pin, hook, ifindex).map_err(|failure| Error::Pin {
            path: pin,
            source: std::io::Error::other(chain(&failure)),
        })
    }

    fn add_tx_port(&mut self, ifindex: u32) -> Result<(), Error> {
        self.maps
            .tx_ports
            .insert(ifindex, ifindex, None, 0)
            .map_err(|source| Error::TxPort { ifindex, source })
    }

    fn tx_ports(&self) -> Result<Vec<u32>, Error> {
        let keys: Result<_, _> = self.maps.tx_ports.keys().collect();
        keys.map_err(failed("TX_PORTS"))
    }

    fn pins(&self) -> Result<Vec<(String, u32)>, Error> {
        let files = entries(&self.pin.join(LINKS))?;
        let names = files.iter().filter_map(|path| path.file_name()?.to_str());
        let pins = names.filter_map(parse_pin);
        Ok(pins
            .map(|(hook, ifindex)| (hook.to_owned(), ifindex))
            .collect())
    }
}

/// What an XDP attachment failed for, and what to do.
fn explain(failure: &LinkFailure, other: Option<String>, driver: Option<&str>) -> String {
    let way_out = if driver.is_some() {
        "use `--uplink-mode tc`"
    } else {
        "give the port `mode: tc`"
    };
    let cause = match (failure.errno(), other) {
        (Some(libc::EBUSY | libc::EEXIST), Some(other)) => {
            return format!(
                "XDP {other} is attached to it, and nved displaces nobody; detach that, or {way_out}"
            );
        }
        (Some(libc::EOPNOTSUPP), _) => format!(
            "its driver{} has no native XDP",
            driver.map(|name| format!(" {name}")).unwrap_or_default()
        ),
        (Some(libc::ERANGE | libc::EINVAL), _) => {
            format!(
                "its MTU or settings do not allow native XDP ({})",
                chain(failure)
            )
        }
        (_, _) => chain(failure),
    };
    format!("{cause}; {way_out}")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn entries(folder: &std::path::Path) -> Result<Vec<PathBuf>, Error> {
    let read = match std::fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(pin_failed(folder)(error)),
    };
    Ok(read.flatten().map(|entry| entry.path()).collect())
}

fn pin_failed(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Pin {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failure(errno: i32) -> LinkFailure {
        LinkFailure::Io(io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn failures_name_a_way_out() {
        let text = explain(&failure(libc::EOPNOTSUPP), None, Some("e1000"));
        assert_eq!(
            text,
            "its driver e1000 has no native XDP; use `--uplink-mode tc`"
        );
        let other = Some("program 17 (theirs)".to_owned());
        let text = explain(&failure(libc::EBUSY), other, None);
        assert!(text.contains("program 17 (theirs)") && text.contains("`mode: tc`"));
    }
}
