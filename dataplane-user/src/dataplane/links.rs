//! Attachments that outlive the agent: pinned links, and filters for older kernels.
//!
//! A pin is named after its hook and device: `tc-7`, `clsact-7` or `xdp-7`. An existing pin is
//! adopted by replacing its program in place, so no packet passes without one.

use std::{
    io,
    path::{Path, PathBuf},
};

use aya::{
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode,
        links::{FdLink, LinkError, PinnedLink},
        tc::{
            self, NlOptions, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions, TcHandle,
        },
    },
    util::KernelVersion,
};

use rustix::net::{AddressFamily, SocketType, netdevice::index_to_name, socket};

use super::load::{TC_EGRESS, TC_INGRESS};
use crate::settings::TcHook;

/// Folder of link pins below the pin folder.
pub const LINKS: &str = "links";

/// How TC programs are attached on this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// tcx.
    Tcx,
    /// A filter on a clsact qdisc.
    Clsact,
}

impl Hook {
    /// The word for it in a pin's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcx => "tc",
            Self::Clsact => "clsact",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Tcx => Self::Clsact,
            Self::Clsact => Self::Tcx,
        }
    }

    /// What the setting means on the running kernel.
    pub fn choose(setting: TcHook) -> Self {
        match setting {
            TcHook::Tcx => Self::Tcx,
            TcHook::Clsact => Self::Clsact,
            TcHook::Auto => match KernelVersion::current() {
                Ok(version) if version < KernelVersion::new(6, 6, 0) => Self::Clsact,
                Ok(_) | Err(_) => Self::Tcx,
            },
        }
    }
}

/// A device, by both its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
}

/// Why an attachment failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkFailure {
    /// The program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The pin.
    #[error("cannot pin the link: {0}")]
    Pin(#[from] aya::pin::PinError),
    /// The qdisc or filter.
    #[error(transparent)]
    Tc(#[from] tc::TcError),
    /// A file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl LinkFailure {
    /// The system call's error number, if there is one.
    pub fn errno(&self) -> Option<i32> {
        if let Self::Io(error) = self {
            return error.raw_os_error();
        }
        let mut error: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(current) = error {
            if let Some(io) = current.downcast_ref::<io::Error>() {
                return io.raw_os_error();
            }
            error = current.source();
        }
        None
    }
}

/// The pin of a hook on a device.
pub fn pin_path(pin: &Path, hook: &str, ifindex: u32) -> PathBuf {
    pin.join(LINKS).join(format!("{hook}-{ifindex}"))
}

/// The hook and ifindex in a pin's file name.
pub fn parse_pin(name: &str) -> Option<(&str, u32)> {
    let (hook, ifindex) = name.split_once('-')?;
    Some((hook, ifindex.parse().ok()?))
}

/// Attaches at tcx ingress, or takes over the pinned link.
pub fn tcx(program: &mut SchedClassifier, device: &Device, pin: &Path) -> Result<(), LinkFailure> {
    if let Some(link) = pinned(pin)? {
        match adopt_tcx(program, link) {
            Err(error) if error.errno() == Some(libc::ENOLINK) => std::fs::remove_file(pin)?,
            done => return done,
        }
    }
    let options = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = program.attach_with_options(&device.name, TcAttachType::Ingress, options)?;
    keep_tcx(program, id)?.pin(pin)?;
    Ok(())
}

/// Attaches natively at XDP, or takes over the pinned link.
pub fn xdp(program: &mut Xdp, device: &Device, pin: &Path) -> Result<(), LinkFailure> {
    if let Some(link) = pinned(pin)? {
        match adopt_xdp(program, link) {
            Err(error) if error.errno() == Some(libc::ENOLINK) => std::fs::remove_file(pin)?,
            done => return done,
        }
    }
    let id = program.attach_to_if_index(device.ifindex, XdpMode::Driver)?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    link.pin(pin)?;
    Ok(())
}

/// Priority of our filter; a fixed number, so that it is found again.
const PRIORITY: u16 = 0x6558;

/// Attaches a filter at clsact ingress, or replaces the one that an earlier nved made. The
/// pinned program is the mark that the filter is ours.
pub fn clsact(
    program: &mut SchedClassifier,
    device: &Device,
    pin: &Path,
) -> Result<(), LinkFailure> {
    match tc::qdisc_add_clsact(&device.name) {
        Err(error) if LinkFailure::from_tc(&error) != Some(libc::EEXIST) => {
            return Err(error.into());
        }
        Ok(()) | Err(_) => {}
    }
    let handle = TcHandle::new(0, 1);
    let id = if pin.exists() {
        let link = SchedClassifierLink::attached(
            &device.name,
            TcAttachType::Ingress,
            PRIORITY,
            handle,
            None,
        )?;
        program.attach_to_link(link)?
    } else {
        let options = NlOptions {
            priority: PRIORITY,
            handle,
            ..NlOptions::default()
        };
        program.attach_with_options(
            &device.name,
            TcAttachType::Ingress,
            TcAttachOptions::Netlink(options),
        )?
    };
    // The handle would remove the filter when dropped.
    std::mem::forget(program.take_link(id)?);
    if !pin.exists() {
        program.pin(pin)?;
    }
    Ok(())
}

/// Ends an attachment, if there is one.
pub fn detach(pin: &Path, hook: &str, ifindex: u32) -> Result<(), LinkFailure> {
    if !pin.exists() {
        return Ok(());
    }
    if hook != Hook::Clsact.as_str() {
        // Dropping the last descriptor after the pin detaches before it returns.
        drop(PinnedLink::from_pin(pin)?.unpin()?);
        return Ok(());
    }
    if let Some(device) = name_of(ifindex) {
        for program in [TC_EGRESS, TC_INGRESS] {
            match tc::qdisc_detach_program(&device, TcAttachType::Ingress, program) {
                Err(tc::TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
    }
    std::fs::remove_file(pin)?;
    Ok(())
}

/// The name of a device; `None` when it is gone.
fn name_of(ifindex: u32) -> Option<String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    index_to_name(socket, ifindex).ok()
}

impl LinkFailure {
    fn from_tc(error: &tc::TcError) -> Option<i32> {
        let mut error: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = error {
            if let Some(io) = current.downcast_ref::<io::Error>() {
                return io.raw_os_error();
            }
            error = current.source();
        }
        None
    }
}

fn pinned(pin: &Path) -> Result<Option<FdLink>, LinkFailure> {
    if !pin.exists() {
        return Ok(None);
    }
    Ok(Some(PinnedLink::from_pin(pin)?.into()))
}

fn adopt_tcx(program: &mut SchedClassifier, link: FdLink) -> Result<(), LinkFailure> {
    let id = program.attach_to_link(link.try_into()?)?;
    drop(keep_tcx(program, id)?);
    Ok(())
}

fn adopt_xdp(program: &mut Xdp, link: FdLink) -> Result<(), LinkFailure> {
    let id = program.attach_to_link(link.try_into()?)?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    drop(link);
    Ok(())
}

fn keep_tcx(
    program: &mut SchedClassifier,
    id: SchedClassifierLinkId,
) -> Result<FdLink, LinkFailure> {
    Ok(program.take_link(id)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_names_hook_and_device() {
        let path = pin_path(Path::new("/p"), "tc", 7);
        assert_eq!(path, Path::new("/p/links/tc-7"));
        assert_eq!(parse_pin("tc-7"), Some(("tc", 7)));
        assert_eq!(parse_pin("tc"), None);
        assert_eq!(parse_pin("xdp-x"), None);
    }
}
