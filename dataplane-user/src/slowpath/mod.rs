//! The slow path: packets that the programs leave to user space.
//!
//! ```text
//! program --(token bucket)--> upcall pair or uplink queue --> [socket] --> [worker]
//!     ^                                                                      | [budget] of the tenant
//!     |                                                                      | [handlers]: what it needs
//!     +--- given back, once, in order <--- [hold] <--- [resolver] <----------+ asks the [directory]
//! ```
//!
//! A worker is one thread for one queue and takes each packet to its end; only questions about a CA
//! leave it, and the packets that wait for the answer are bounded in number and time. A [station]
//! keeps a worker at a queue; [service] is all of it, as the agent has it.

use hold::Limits as HoldLimits;

use crate::policy::in_use::Lives;

pub mod advertise;
pub mod answers;
pub mod budget;
pub mod channel;
pub mod counts;
pub mod dhcp;
pub mod directory;
pub mod fragment;
pub mod handlers;
pub mod health;
pub mod hold;
pub mod icmp;
pub mod lane;
pub mod learn;
pub mod neighbour;
pub mod packet;
pub mod path_mtu;
pub mod replicate;
pub mod report;
pub mod resolver;
pub mod seats;
pub mod service;
pub mod socket;
pub mod spread;
pub mod station;
#[cfg(test)]
pub(crate) mod testing;
pub mod upcall;
pub mod worker;
#[cfg(test)]
pub(crate) mod world;

/// What the slow path may take, as the settings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Punts of a port a second, in the long run.
    pub punt_rate: u32,
    /// Punts of a port that may come at once.
    pub punt_burst: u32,
    /// Sockets on uplinks share the driver's memory, where it can.
    ///
    /// Off by default: the driver then hands over its whole queue. Every packet that is forwarded
    /// without user space is copied out of the shared memory, and what is in the queue is lost when
    /// a socket comes or goes, that is, with each restart of `nved` (virtio-net resets the queue,
    /// `virtnet_rq_bind_xsk_pool`).
    pub zero_copy: bool,
    /// Packets that wait for an answer.
    pub hold: HoldLimits,
    /// Packets a second of all tenants, for each queue.
    pub budget: budget::Rates,
    /// How long what nobody asks for stays in the kernel's table.
    pub lives: Lives,
}

impl Limits {
    /// For a host of some hundred ports.
    pub const DEFAULT: Self = Self {
        punt_rate: 2000,
        punt_burst: 256,
        zero_copy: false,
        hold: HoldLimits::DEFAULT,
        budget: budget::Rates::DEFAULT,
        lives: Lives::DEFAULT,
    };

    /// Time between two punts of a port in the long run, nanoseconds.
    pub const fn punt_interval(&self) -> u32 {
        let rate = if self.punt_rate == 0 {
            1
        } else {
            self.punt_rate
        };
        1_000_000_000 / rate
    }
}
