//! What the eBPF programs and user space must agree on.
//!
//! * [`wire`]: the formats of packets (Ethernet, IPv4, IPv6, ARP, ICMP, NVGRE).
//! * [`abi`]: keys and values of the BPF maps, one map a file.
//! * [`id`], [`reason`] and [`punt`]: checked domain numbers, why a packet is dropped, and why it is left to user space.
//! * [`records`]: the table of lookup records in plain memory, and its reader.
//! * [`forward`]: *the* decision. Header values and tables in, verdict out; pure.
//!
//! Nothing here reads packet memory, allocates or does I/O, so that the same
//! code runs inside the kernel's verifier, in the daemon and in unit tests.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "a test that panics fails, which is its task"
    )
)]

pub mod abi;
pub mod forward;
pub mod id;
pub mod punt;
pub mod reason;
pub mod records;
pub mod wire;
