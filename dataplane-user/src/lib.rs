//! User space of nve: the agent `nved` and its control CLI `nvectl`.
//!
//! Read [`policy`] first: how a YAML file becomes map content.

pub mod cli;
pub mod control;
pub mod dataplane;
pub mod policy;
pub mod render;
pub mod store;
pub mod underlay;
