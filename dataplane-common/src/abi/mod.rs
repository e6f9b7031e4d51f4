//! Keys and values of the BPF maps, one map a file.
//!
//! The layout is ABI between the programs and the daemon and survives a
//! daemon restart in pinned maps, so every type is `repr(C)`, has no implicit
//! padding, no `bool` and no Rust enum, and asserts its size. Addresses are
//! in wire order; numbers are in host order, for only this host reads them.

pub mod bucket;
pub mod config;
pub mod flood;
pub mod lookup;
pub mod port_ca;
pub mod programs;
pub mod rewrite;
pub mod route;
pub mod scope;
pub mod stats;
pub mod underlay;
pub mod upcall;
pub mod vport;
pub mod vsid;

/// Version of the whole layout; a pin of another version is not adopted.
pub const VERSION: u32 = 7;

/// Implements `aya::Pod` for map types that say why they are plain data.
macro_rules! pod {
    ($($name:ty),+) => {
        $(
            // SAFETY: `repr(C)`, made of integers and byte arrays only, and the
            // size assertion beside the type shows that there is no padding.
            #[cfg(feature = "user")]
            unsafe impl aya::Pod for $name {}
        )+
    };
}
pub(crate) use pod;
