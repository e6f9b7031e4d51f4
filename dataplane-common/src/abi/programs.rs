//! `PROGS`: the programs that others go on in.
//!
//! Each is verified by itself and has a stack of its own, 512 bytes; all of one way in one program
//! would have too little of either.

/// Copies what a port sent for other ports.
pub const FLOOD_EGRESS: u32 = 0;
/// Copies what an uplink received.
pub const FLOOD_INGRESS: u32 = 1;
/// Decides about what user space gives back on its way out of a port.
pub const BACK_EGRESS: u32 = 2;
/// Decides about what user space gives back on its way in from an uplink.
pub const BACK_INGRESS: u32 = 3;
/// Copies what a port sent for another host, and goes on in itself for the next.
pub const FLOOD_REMOTE: u32 = 4;
/// Decides about what a port sent that is not virtualized.
pub const PLAIN_EGRESS: u32 = 5;
/// Decides about a frame with a VLAN tag that an uplink received.
pub const VLAN_INGRESS: u32 = 6;
/// Decides about a frame that an external interface received.
pub const EXTERNAL_INGRESS: u32 = 7;
/// Answers who asks, from an uplink, for the PA of a port here.
pub const PA_NEIGHBOUR: u32 = 8;

/// The names of the programs, by their place in the map.
pub const NAMES: [&str; PROGS_LEN as usize] = [
    "nve_tc_flood_egress",
    "nve_tc_flood_ingress",
    "nve_tc_back_egress",
    "nve_tc_back_ingress",
    "nve_tc_flood_remote",
    "nve_tc_plain_egress",
    "nve_tc_vlan_ingress",
    "nve_tc_external_ingress",
    "nve_tc_pa_neighbour",
];

/// Entries of `PROGS`.
pub const PROGS_LEN: u32 = 9;
