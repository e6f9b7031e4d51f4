//! Devices of ports: found, or made as veth pairs into tenants' namespaces and as taps.
//!
//! * [`manager`]: what is wanted against what is there, port by port.
//! * [`veth`], [`tap`] and [`link`]: making and changing devices of ours.
//! * [`netns`] and [`tenant`]: work inside a tenant's namespace, on a thread of its own.
//! * [`end`], [`ethtool`] and `ifreq`: the ioctls that netlink does not cover here.
//! * [`state`]: what a port's device shall be, and what it is.
//! * [`guard`]: devices that no port may take.
//! * [`upcall`]: the pair of devices that takes packets to user space and back.
//! * [`napi`], [`features`] and [`place`]: whether XDP redirects arrive behind a veth, wherever its other end is.
//! * [`names`]: how our devices are recognized.
//! * [`watch`]: named namespaces that come and go.

pub mod end;
pub mod ethtool;
pub mod features;
pub mod guard;
mod ifreq;
pub mod link;
pub mod manager;
pub mod names;
pub mod napi;
pub mod netns;
pub mod place;
pub mod state;
pub mod tap;
pub mod tenant;
pub mod upcall;
pub mod veth;
pub mod watch;

pub use manager::Manager;
pub use state::{Attachment, State, Trouble, Wanted};
