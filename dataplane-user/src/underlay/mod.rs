//! How the underlay reaches provider addresses, as the kernel's tables tell.
//!
//! * [`watch`]: says when any of those tables changed.
//! * [`kernel`]: asks for routes and neighbours, and has neighbours resolved.
//! * [`resolve`]: the answers into next hops; pure.

pub mod kernel;
pub mod resolve;
pub mod watch;

pub use kernel::Resolver;
pub use resolve::{Path, Reach};
