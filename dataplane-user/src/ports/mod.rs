//! Devices of ports: found, or made as veth pairs into tenants' namespaces.
//!
//! * [`manager`]: what is wanted against what is there, port by port.
//! * [`veth`]: making, adopting and removing pairs of ours.
//! * [`netns`]: work inside a tenant's namespace, on a thread of its own.
//! * [`ethtool`]: the ioctls that netlink does not cover here.
//! * [`state`]: what a port's device shall be, and what it is.
//! * [`guard`]: devices that no port may take.
//! * [`names`]: how our devices are recognized.

pub mod ethtool;
pub mod guard;
pub mod manager;
pub mod names;
pub mod netns;
pub mod state;
pub mod veth;

pub use manager::Manager;
pub use state::{Attachment, State, Wanted};
