//! The control protocol: JSON over HTTP on a unix socket.
//!
//! * [`protocol`]: the types and the table of requests.
//! * [`server`]: what each request does; [`answer`] and [`body`] are its parts.
//! * [`accept`]: who is let in, and for how long; [`seats`], [`connection`] and
//!   [`socket`] are its parts.
//! * [`client`]: the CLI's side.

pub mod accept;
pub mod answer;
pub mod body;
pub mod client;
mod connection;
pub mod protocol;
mod report;
pub mod seats;
pub mod server;
pub mod socket;
