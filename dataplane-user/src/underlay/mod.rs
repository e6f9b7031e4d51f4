//! How the underlay reaches provider addresses, as the kernel's tables tell.
//!
//! * [`watch`]: says when any of those tables changed.
//! * [`kernel`]: asks for the ways to all PAs.
//! * [`route`] and [`entry`]: what the kernel's answers mean; pure.
//! * [`neighbours`]: keeps next hops alive.
//! * [`resolve`]: the answers into next hops; pure.

pub mod entry;
pub mod kernel;
pub mod neighbours;
pub mod resolve;
pub mod route;
pub mod watch;

pub use kernel::{Question, Resolver};
pub use resolve::{Path, Reach};
