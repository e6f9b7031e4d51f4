//! Bytes of a frame, each access behind its own comparison with the frame's end.

use aya_ebpf::programs::{TcContext, XdpContext};

/// Values that any bytes are one of.
///
/// # Safety
///
/// Every pattern of `size_of::<Self>()` bytes is a value of the type.
pub unsafe trait Plain: Copy {}

// SAFETY: an integer has a value for each pattern.
unsafe impl Plain for u8 {}
// SAFETY: as for `u8`.
unsafe impl Plain for u16 {}
// SAFETY: as for `u8`.
unsafe impl Plain for u32 {}
// SAFETY: an array of what is plain has nothing else in it.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// A packet of this run.
pub trait Frame {
    /// Where it begins.
    fn start(&self) -> usize;
    /// Behind its last byte that can be reached.
    fn end(&self) -> usize;
}

impl Frame for XdpContext {
    #[inline(always)]
    fn start(&self) -> usize {
        self.data()
    }
    #[inline(always)]
    fn end(&self) -> usize {
        self.data_end()
    }
}

impl Frame for TcContext {
    #[inline(always)]
    fn start(&self) -> usize {
        self.data()
    }
    #[inline(always)]
    fn end(&self) -> usize {
        self.data_end()
    }
}

/// The bytes at `offset`, in their order; `None`: the frame ends before.
#[inline(always)]
pub fn load<T: Plain>(frame: &impl Frame, offset: usize) -> Option<T> {
    let from = frame.start() + offset;
    if from + size_of::<T>() > frame.end() {
        return None;
    }
    // SAFETY: the comparison above saw that all of `T` lies inside the frame, and `Plain` promises
    // that whatever is there is a value of it.
    Some(unsafe { (from as *const T).read_unaligned() })
}

/// Writes a value at `offset`; `None`: the frame ends before.
#[inline(always)]
pub fn store<T>(frame: &impl Frame, offset: usize, value: T) -> Option<()> {
    let to = frame.start() + offset;
    if to + size_of::<T>() > frame.end() {
        return None;
    }
    // SAFETY: the comparison above saw that all of `T` lies inside the frame, which is this
    // program's alone while it runs.
    unsafe { (to as *mut T).write_unaligned(value) };
    Some(())
}
