//! Result files, and what is made of them.
//!
//! A file holds raw rows only ([`row`]); medians, intervals and doubts are worked out when it is read
//! ([`summary`]), so that a better method can be applied to an old file.

pub mod compare;
pub mod file;
pub mod goals;
pub mod markdown;
mod merge;
pub mod plot;
pub mod questions;
pub mod readme;
pub mod row;
#[cfg(test)]
pub(crate) mod sample;
pub mod summary;
pub mod words;
