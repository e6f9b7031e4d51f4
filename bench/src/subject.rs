//! What can be measured again and again.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;

/// One half of a pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// The figure, in the unit of the metric.
    pub value: f64,
    /// What belongs to it: packets sent and received, retransmissions, drops by reason.
    pub details: BTreeMap<String, u64>,
}

/// A set-up that stands, and is measured.
pub trait Subject {
    /// Measures for about so long. The set-up is as before afterwards.
    fn measure(&mut self, length: Duration) -> Result<Measured>;
}
