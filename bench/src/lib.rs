//! Measurements of the dataplane. Only ratios against a twin in the same run are
//! published: the machines are shared, and single figures say nothing.
//!
//! [`figures`] are of one path alone. A [`scenario::Comparison`] names two paths, conditions and a
//! metric. [`paths`] builds each path, a [`subject::Subject`] measures it, and the two take turns.

pub mod bulk;
pub mod compared;
pub mod figures;
pub mod generator;
pub mod looks;
pub mod noise;
pub mod packet_socket;
pub mod pairs;
pub mod paths;
pub mod profile;
pub mod programs;
pub mod rate;
pub mod results;
pub mod round_trip;
pub mod scenario;
pub mod session;
pub mod sink;
pub mod stats;
pub mod subject;
pub mod tables;
pub mod workshop;
