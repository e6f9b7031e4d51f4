//! The kernel's side of the agent: programs, maps, links.
//!
//! * [`require`]: what the machine must have.
//! * [`load`]: the object and its pinned maps.
//! * [`adopt`], [`layout`] and [`running`]: what an earlier nved left, and whether it can stay.
//! * [`attach`], [`detach`], [`links`], [`clsact`], [`qdisc`] and [`queues`]: programs on devices; [`foreign`]: those of others.
//! * [`records`]: the table of lookup records in plain memory, and its writer.
//! * [`maps`], [`lookups`], [`vports`], [`local_ports`], [`read`], [`commit`], [`stats`]: table content in and counters out.

use std::path::PathBuf;

use aya::Ebpf;

pub mod adopt;
pub mod attach;
pub mod clsact;
pub mod commit;
pub mod detach;
mod explain;
pub mod foreign;
pub mod hash;
pub mod layout;
pub mod links;
pub mod load;
pub mod local_ports;
pub mod lookups;
pub mod maps;
pub mod namespace;
pub mod qdisc;
mod queues;
pub mod read;
pub mod records;
pub mod require;
pub mod running;
pub mod stats;
pub mod vports;

/// The eBPF object that is built with this crate.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/nve"));

/// The loaded programs and maps of one pin folder.
pub struct Dataplane {
    bpf: Ebpf,
    /// The maps.
    pub maps: maps::Maps,
    pin: PathBuf,
    tc_hook: links::Hook,
    /// By what our programs are known.
    own: foreign::Own,
}

/// What can go wrong with the kernel's side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something.
    #[error(transparent)]
    Lack(#[from] require::Lack),
    /// A pin cannot be adopted.
    #[error(transparent)]
    Layout(#[from] layout::Mismatch),
    /// The object cannot be loaded.
    #[error("cannot load the eBPF object: {0}")]
    Object(#[source] Box<aya::EbpfError>),
    /// The object lacks something that it should have.
    #[error("the eBPF object has no {kind} `{name}`; build nved and its object together")]
    Absent {
        /// `program` or `map`.
        kind: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// A program is refused.
    #[error("the kernel refuses program `{name}`: {cause}\nthe verifier's last words:\n{log}")]
    Verifier {
        /// The program.
        name: &'static str,
        /// What the system call said.
        cause: std::io::Error,
        /// The end of the log.
        log: String,
    },
    /// A program cannot be used for another reason.
    #[error("program `{name}`: {source}")]
    Program {
        /// The program.
        name: &'static str,
        /// Why.
        source: Box<aya::programs::ProgramError>,
    },
    /// A program cannot be attached.
    #[error("cannot attach `{program}` to interface {interface}: {reason}")]
    Attach {
        /// The program.
        program: &'static str,
        /// The device.
        interface: String,
        /// Why, and what to do.
        reason: String,
        /// The kernel or the device lacks something: trying again does not help.
        lack: bool,
    },
    /// The pins are of a dataplane that runs elsewhere.
    #[error(
        "pins in {pin} are of the dataplane in another network namespace, which goes on; start nved there, or give this one its own --pin",
        pin = .0.display()
    )]
    Elsewhere(PathBuf),
    /// Another nved has the device: two would take packets from each other.
    #[error(
        "interface {interface} is in use by the dataplane of another nved: {rival}; unload that one, or start nved with its --pin"
    )]
    InUse {
        /// The device.
        interface: String,
        /// Its program.
        rival: foreign::Foreign,
    },
    /// A map cannot be read or written.
    #[error("map {map}: {source}")]
    Map {
        /// The map.
        map: &'static str,
        /// Why.
        source: aya::maps::MapError,
    },
    /// A device cannot be made a target of XDP redirects.
    #[error("map TX_PORTS, interface {ifindex}: {source}")]
    TxPort {
        /// The device.
        ifindex: u32,
        /// Why.
        source: aya::maps::xdp::XdpMapError,
    },
    /// A thread of the slow path cannot be started.
    #[error("cannot start the slow path: {source}")]
    SlowPath {
        /// Why.
        source: std::io::Error,
    },
    /// A pin cannot be made or removed.
    #[error("pin {path}: {source}", path = path.display())]
    Pin {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
