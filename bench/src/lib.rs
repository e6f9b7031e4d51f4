//! Measurements of the dataplane.
