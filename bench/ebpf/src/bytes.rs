//! Bytes of a frame, each access behind its own comparison with the frame's end.

use aya_ebpf::programs::XdpContext;

/// The bytes at `offset`, in their order; `None`: the frame ends before.
#[inline(always)]
pub fn load<T: Copy>(ctx: &XdpContext, offset: usize) -> Option<T> {
    let from = ctx.data() + offset;
    if from + size_of::<T>() > ctx.data_end() {
        return None;
    }
    // SAFETY: the comparison above saw that all of `T` lies inside the frame; callers load integers
    // and byte arrays, of which any pattern is valid.
    Some(unsafe { (from as *const T).read_unaligned() })
}

/// Writes a value at `offset`; `None`: the frame ends before.
#[inline(always)]
pub fn store<T>(ctx: &XdpContext, offset: usize, value: T) -> Option<()> {
    let to = ctx.data() + offset;
    if to + size_of::<T>() > ctx.data_end() {
        return None;
    }
    // SAFETY: the comparison above saw that all of `T` lies inside the frame, which is this
    // program's alone while it runs.
    unsafe { (to as *mut T).write_unaligned(value) };
    Some(())
}
