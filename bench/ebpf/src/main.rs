//! Programs around the ones that are measured: they make packets ([`generator`], [`drive`]), count them at the
//! end ([`sink`], [`shown`]), and forward them without a thought ([`twin`]) or without a check ([`textbook`]);
//! and look-ups of records by themselves ([`records`]).
//!
//! One loaded copy serves one device, so what differs between copies is constant in each: the
//! loader sets it before the verifier sees it.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod bytes;
mod draw;
mod drive;
mod generator;
mod records;
mod shown;
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
