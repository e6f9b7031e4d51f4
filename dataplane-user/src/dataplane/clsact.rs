//! Filters on a clsact qdisc, for kernels older than tcx.
//!
//! Our filter has a fixed priority and handle, so that it is found again, and its program is
//! pinned like a link: the pin is the mark that the filter is ours.

use std::{
    io::{self, stderr},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use aya::programs::{ProgramInfo, SchedClassifier};
use libbpf_rs::{ErrorKind, TC_INGRESS, TcHook};

use super::links::{Device, LinkFailure};

/// Attaches the filter to the qdisc that is there, or replaces the program of one that an earlier nved made.
pub fn attach(
    program: &mut SchedClassifier,
    device: &Device,
    pin: &Path,
) -> Result<(), LinkFailure> {
    let fd = program.fd()?.try_clone()?;
    let mut hook = hook(fd.as_fd(), device.ifindex);
    if pin.exists() {
        hook.replace(true);
    } else {
        // Before the filter, so that no filter of ours is ever without its mark.
        program.pin(pin)?;
    }
    if let Err(error) = hook.attach() {
        if query(device.ifindex).is_none() {
            std::fs::remove_file(pin)?;
        }
        return Err(error.into());
    }
    renew(program, pin)
}

/// Whether the pinned program is the one that the filter runs.
pub fn holds(pin: &Path, ifindex: u32) -> bool {
    ProgramInfo::from_pin(pin).is_ok_and(|info| query(ifindex) == Some(info.id()))
}

/// Removes the filter that the pin marks, and the pin. A device that is gone took it along.
pub fn detach(pin: &Path, ifindex: u32) -> Result<(), LinkFailure> {
    if holds(pin, ifindex) {
        hook(stderr().as_fd(), ifindex).detach()?;
    }
    std::fs::remove_file(pin)?;
    Ok(())
}

/// The program of the filter with our priority and handle, whosever it is.
pub fn query(ifindex: u32) -> Option<u32> {
    // The library wants a program's descriptor also where the kernel is only asked.
    hook(stderr().as_fd(), ifindex).query().ok()
}

const PRIORITY: u32 = 0x6558;
const HANDLE: u32 = 1;

fn hook(program: BorrowedFd<'_>, ifindex: u32) -> TcHook {
    let mut hook = TcHook::new(program);
    hook.ifindex(ifindex.cast_signed())
        .attach_point(TC_INGRESS)
        .priority(PRIORITY)
        .handle(HANDLE);
    hook
}

/// Makes the pin the program's, in one step.
fn renew(program: &mut SchedClassifier, pin: &Path) -> Result<(), LinkFailure> {
    if ProgramInfo::from_pin(pin)?.id() == program.info()?.id() {
        return Ok(());
    }
    // No dot: bpffs refuses names with one.
    let next = pin.with_file_name(format!("next-clsact-{}", std::process::id()));
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    program.pin(&next)?;
    Ok(std::fs::rename(next, pin)?)
}

impl From<libbpf_rs::Error> for LinkFailure {
    fn from(error: libbpf_rs::Error) -> Self {
        if error.kind() == ErrorKind::AlreadyExists {
            return Self::Io(io::Error::from_raw_os_error(libc::EEXIST));
        }
        Self::Libbpf(error)
    }
}
