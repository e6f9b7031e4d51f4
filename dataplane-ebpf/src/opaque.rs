//! Values that the compiler takes for any, without a way over the stack: `black_box` of the core library
//! has one, and what waits for a packet's start waits for that.

use core::arch::asm;

/// The same number, of which the compiler knows nothing.
#[inline(always)]
pub fn opaque(mut number: u64) -> u64 {
    // SAFETY: one move of one register to itself: line information of no instruction at all is refused
    // by the kernel.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}
