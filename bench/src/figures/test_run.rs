//! Single system calls of `BPF_PROG_TEST_RUN`, and the empty program that they are compared with.
//!
//! The library's wrapper allocates and reads back the packet on each call; with one packet a call
//! that would be most of the work.

use std::{
    io,
    mem::size_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use anyhow::{Context, Result};

/// The parameter `method` of [`super::driven`].
pub(super) const DRIVEN: &str = "driver, independent keys";

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// A classifier.
    Tc,
    /// Native XDP.
    Xdp,
}

impl Hook {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Xdp, Self::Tc];

    /// The word in parameters and in names of programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
        }
    }

    /// What a program returns for a packet that it drops.
    pub(super) const fn drops(self) -> u32 {
        match self {
            Self::Tc => 2,
            Self::Xdp => 1,
        }
    }

    /// What a program returns for a packet that goes to another device.
    pub(super) const fn redirects(self) -> u32 {
        match self {
            Self::Tc => 7,
            Self::Xdp => 4,
        }
    }

    /// `enum bpf_prog_type`.
    const fn program_type(self) -> u32 {
        match self {
            Self::Tc => 3,
            Self::Xdp => 6,
        }
    }
}

/// What a call said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// The program's return code, of the last run.
    pub(super) code: u32,
    /// The mean of its runs, nanoseconds; the kernel's two looks at the clock are in it.
    pub(super) nanoseconds: u32,
}

/// Runs a program on a frame. `repeat` above 1 needs one that leaves the frame as it was: the kernel
/// does not put it back.
pub(super) fn run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> Result<Ran> {
    let mut call = TestRun {
        program: program.as_raw_fd(),
        code: 0,
        size_in: u32::try_from(frame.len()).context("the frame is too long")?,
        size_out: 0,
        data_in: frame.as_ptr() as u64,
        data_out: 0,
        repeat,
        nanoseconds: 0,
    };
    // SAFETY: the kernel reads `size_in` bytes at `data_in`, which is the slice, and with a
    // `data_out` of 0 it writes nothing but the fields of `call`.
    unsafe { bpf(TEST_RUN, &mut call) }.context("BPF_PROG_TEST_RUN")?;
    Ok(Ran {
        code: call.code,
        nanoseconds: call.nanoseconds,
    })
}

/// Loads a program that drops everything and does nothing else.
pub(super) fn empty(hook: Hook) -> Result<OwnedFd> {
    const MOVE: u8 = 0xB7; // r0 = K, 64 bits
    const EXIT: u8 = 0x95;
    let code = |code, constant| Instruction {
        code,
        registers: 0,
        offset: 0,
        constant,
    };
    let program = [code(MOVE, hook.drops().cast_signed()), code(EXIT, 0)];
    let mut call = Load {
        program_type: hook.program_type(),
        count: 2,
        instructions: program.as_ptr() as u64,
        licence: c"Dual MIT/GPL".as_ptr() as u64,
        ..Load::default()
    };
    // SAFETY: the kernel reads `count` instructions and a string that ends with 0, both of which
    // live until the call returns, and writes nothing: there is no log.
    let fd = unsafe { bpf(LOAD, &mut call) }.context("cannot load the empty program")?;
    // SAFETY: the kernel has just given this descriptor to us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `BPF_PROG_LOAD`, `BPF_PROG_TEST_RUN`.
const LOAD: libc::c_long = 5;
const TEST_RUN: libc::c_long = 10;

/// `struct bpf_insn`.
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    constant: i32,
}

/// The start of `union bpf_attr` for `BPF_PROG_LOAD`; what follows counts as 0.
#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// The same for `BPF_PROG_TEST_RUN`.
#[repr(C)]
struct TestRun {
    program: RawFd,
    code: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    nanoseconds: u32,
}

/// # Safety
///
/// `attributes` is what the command takes, and its pointers are good for what it does with them.
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<RawFd> {
    let pointer: *mut T = attributes;
    // SAFETY: the caller vouches for the content; the kernel is told the true size.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) };
    match RawFd::try_from(done) {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs two programs, the first one first or last; gives what they said in their order. In the same
/// turn always, the second would find what the other had left in the caches.
pub(super) fn both(
    program: BorrowedFd<'_>,
    empty: &OwnedFd,
    program_first: bool,
    run: impl Fn(BorrowedFd<'_>) -> Result<Ran>,
) -> Result<[Ran; 2]> {
    if program_first {
        let ran = run(program)?;
        return Ok([ran, run(empty.as_fd())?]);
    }
    let nothing = run(empty.as_fd())?;
    Ok([run(program)?, nothing])
}

/// Runs two programs on each frame, one after the other and in turns, so that both meet the same
/// machine; gives how much longer the first one takes, nanoseconds.
pub(super) fn difference(
    program: BorrowedFd<'_>,
    empty: &OwnedFd,
    frames: &[Vec<u8>],
    code: u32,
) -> Result<f64> {
    let (mut ours, mut nothing) = (Vec::new(), Vec::new());
    for (number, frame) in frames.iter().enumerate() {
        let ours_first = number % 2 == 1;
        let [ran, other] = both(program, empty, ours_first, |fd| run(fd, frame, 1))?;
        anyhow::ensure!(ran.code == code, "returned {} instead of {code}", ran.code);
        ours.push(ran.nanoseconds);
        nothing.push(other.nanoseconds);
    }
    Ok(usual_mean(ours) - usual_mean(nothing))
}

/// The mean without the slowest in 50: those met an interrupt, not a longer way.
fn usual_mean(mut times: Vec<u32>) -> f64 {
    times.sort_unstable();
    times.truncate((times.len() - times.len() / 50).max(1));
    let sum: f64 = times.iter().map(|time| f64::from(*time)).sum();
    sum / f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_in_fifty_do_not_count() {
        let mut times = vec![100; 98];
        times.extend([1_000_000, 2_000_000]);
        assert!((usual_mean(times) - 100.0).abs() < 1e-9);
        assert!((usual_mean(vec![7]) - 7.0).abs() < 1e-9);
    }
}
