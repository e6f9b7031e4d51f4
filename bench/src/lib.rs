//! Measurements of the dataplane. Only ratios against a twin in the same run are
//! published: the machines are shared, and single figures say nothing.

pub mod ratio;
pub mod tcp;
