//! Programs around the ones that are measured: they make packets ([`generator`]), count them at the
//! end ([`sink`]), and forward them without a thought ([`twin`]) or without a check ([`textbook`]).
//!
//! One loaded copy serves one device, so what differs between copies is constant in each: the
//! loader sets it before the verifier sees it.
#![no_std]
#![no_main]

mod bytes;
mod draw;
mod generator;
mod sink;
mod textbook;
mod twin;

/// Licence of the programs, for helpers that the kernel gives to GPL programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
pub static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
