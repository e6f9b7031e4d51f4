//! The control protocol: JSON over HTTP on a unix socket.

pub mod client;
pub mod protocol;
