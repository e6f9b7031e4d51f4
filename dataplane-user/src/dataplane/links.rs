//! Attachments that outlive the agent: pinned links, and the filters of [`clsact`].
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
        tc::{SchedClassifierLinkId, TcAttachOptions},
    },
    util::KernelVersion,
};
use libbpf_rs::query::LinkTypeInfo;

use super::{clsact, foreign::Own};
use crate::settings::TcHook;

/// The hooks, as pins name them.
pub const HOOKS: [&str; 3] = ["tc", "clsact", "xdp"];

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
    Libbpf(libbpf_rs::Error),
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

/// Whether anything of ours is attached to a device, or was before the device went.
pub fn is_pinned(pin: &Path, ifindex: u32) -> bool {
    HOOKS
        .iter()
        .any(|hook| pin_path(pin, hook, ifindex).exists())
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

/// Ends an attachment, if there is one.
pub fn detach(pin: &Path, hook: &str, ifindex: u32, own: &Own) -> Result<(), LinkFailure> {
    if !pin.exists() {
        return Ok(());
    }
    if hook == Hook::Clsact.as_str() {
        return clsact::detach(pin, ifindex, own);
    }
    // Dropping the last descriptor after the pin detaches before it returns.
    drop(PinnedLink::from_pin(pin)?.unpin()?);
    Ok(())
}

/// Whether the attachment is there: what is pinned can be detached by somebody else.
pub fn holds(pin: &Path, hook: &str, ifindex: u32) -> bool {
    if hook == Hook::Clsact.as_str() {
        return clsact::holds(pin, ifindex);
    }
    let Ok(link) = libbpf_rs::Link::open(pin) else {
        return false;
    };
    link.info().is_ok_and(|link| {
        if let LinkTypeInfo::Tcx(tcx) = link.info {
            tcx.ifindex == ifindex
        } else if let LinkTypeInfo::Xdp(xdp) = link.info {
            xdp.ifindex == ifindex
        } else {
            false
        }
    })
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
