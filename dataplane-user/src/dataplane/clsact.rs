//! Filters on a clsact qdisc, for kernels older than tcx.
//!
//! Our filter has a fixed priority and handle, so that it is found again. It is ours if its
//! program is, which is pinned like a link and tells where filters are.

use std::{
    io::{self, stderr},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use aya::programs::{ProgramInfo, SchedClassifier};
use libbpf_rs::{ErrorKind, TC_INGRESS, TcHook};

use super::{
    foreign::Own,
    links::{Device, LinkFailure},
};

/// Attaches the filter to the qdisc that is there, or replaces the program of one that an earlier
/// nved made. A filter of somebody else in our place stays.
pub fn attach(
    program: &mut SchedClassifier,
    device: &Device,
    pin: &Path,
    own: &Own,
) -> Result<(), LinkFailure> {
    let fd = program.fd()?.try_clone()?;
    let mut hook = hook(fd.as_fd(), device.ifindex);
    match query(device.ifindex) {
        Some(there) if own.has_id(there) => {
            hook.replace(true).attach()?;
            return renew(program, pin);
        }
        Some(_) => return Err(io::Error::from_raw_os_error(libc::EEXIST).into()),
        None => {}
    }
    // Before the filter, so that no filter of ours is ever without its mark.
    renew(program, pin)?;
    if let Err(error) = hook.attach() {
        std::fs::remove_file(pin)?;
        return Err(error.into());
    }
    Ok(())
}

/// Whether the pinned program is the one that the filter runs.
pub fn holds(pin: &Path, ifindex: u32) -> bool {
    ProgramInfo::from_pin(pin).is_ok_and(|info| query(ifindex) == Some(info.id()))
}

/// Removes our filter, and the pin. A device that is gone took it along.
pub fn detach(pin: &Path, ifindex: u32, own: &Own) -> Result<(), LinkFailure> {
    if query(ifindex).is_some_and(|there| own.has_id(there)) {
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
    let pinned = ProgramInfo::from_pin(pin).map(|info| info.id());
    if pinned.is_ok_and(|id| program.info().is_ok_and(|info| info.id() == id)) {
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
