//! The signal that ends a run.

use std::{io::ErrorKind, os::unix::thread::JoinHandleExt, sync::Once, thread::JoinHandle};

use anyhow::{Context, Result};
use aya::programs::ProgramError;

use crate::programs;

/// Whether a run ended because of a signal.
pub(super) fn ended(error: &ProgramError) -> bool {
    programs::io_kind(error) == Some(ErrorKind::Interrupted)
}

/// One that nobody else uses here.
fn number() -> i32 {
    libc::SIGRTMIN() + 4
}

/// A handler that does nothing: the signal only has to end a system call.
pub(super) fn install() -> Result<()> {
    static INSTALLED: Once = Once::new();
    extern "C" fn nothing(_: i32) {}
    let mut installed = Ok(());
    INSTALLED.call_once(|| {
        // SAFETY: all zeros is a valid `sigaction`: no flags (so calls are not restarted), no mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = nothing as extern "C" fn(i32) as libc::sighandler_t;
        // SAFETY: the handler touches nothing, so it may run at any point of any thread; the
        // pointer is to a local that outlives the call.
        if unsafe { libc::sigaction(number(), &raw const action, std::ptr::null_mut()) } != 0 {
            installed = Err(std::io::Error::last_os_error());
        }
    });
    installed.context("cannot install a signal handler")
}

/// Ends the system call that the thread is in.
pub(super) fn interrupt(thread: &JoinHandle<Result<()>>) {
    // SAFETY: the thread was not joined, so its handle is valid even if it has ended; the signal
    // has a handler since the generator was made.
    unsafe { libc::pthread_kill(thread.as_pthread_t(), number()) };
}
