//! The control protocol: JSON over HTTP on a unix socket.
//!
//! * [`protocol`]: the types and the table of requests.
//! * [`server`]: the agent's side; [`answer`], [`body`] and [`socket`] are its parts.

pub mod answer;
pub mod body;
pub mod protocol;
pub mod server;
pub mod socket;
