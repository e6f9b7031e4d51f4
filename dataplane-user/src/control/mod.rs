//! The control protocol: JSON over HTTP on a unix socket.
//!
//! * [`protocol`]: the types and the table of requests.
//! * [`server`]: the agent's side; [`answer`], [`body`] and [`socket`] are its parts.
//! * [`client`]: the CLI's side.

pub mod answer;
pub mod body;
pub mod client;
pub mod protocol;
pub mod server;
pub mod socket;
