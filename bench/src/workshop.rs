//! Makes of a path and a metric what can be measured.

use crate::{
    bulk::Bulk,
    paths::{self, Absence},
    rate::Rate,
    round_trip::RoundTrip,
    scenario::{Metric, PathName, Scenario},
    session::Workshop,
    subject::Subject,
};

/// The paths of [`paths::build`].
pub struct Paths;

impl Workshop for Paths {
    fn subject(
        &mut self,
        path: PathName,
        scenario: &Scenario,
        metric: Metric,
    ) -> Result<Box<dyn Subject>, Absence> {
        let scenario = path.conditions(*scenario);
        let built = paths::build(path, &scenario)?;
        Ok(match metric {
            Metric::PacketRate => Rate::new(built, &scenario)?,
            Metric::TcpBulk(streams) => Box::new(Bulk::new(built, streams)?),
            Metric::RoundTripP50 => Box::new(RoundTrip::new(built, 50.0)?),
            Metric::RoundTripP99 => Box::new(RoundTrip::new(built, 99.0)?),
        })
    }
}
