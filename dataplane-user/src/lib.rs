//! User space of nve: the agent `nved` and its control CLI `nvectl`.
//!
//! Read [`policy`] first: how a YAML file becomes map content.

pub mod agent;
pub mod cli;
pub mod control;
pub mod dataplane;
pub mod memory;
pub mod netdev;
pub mod netlink;
pub mod policy;
pub mod ports;
pub mod render;
pub mod service;
pub mod settings;
pub mod slowpath;
pub mod store;
pub mod underlay;
