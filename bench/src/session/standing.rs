//! The paths that stand: those of the present comparison, which the next one may need as well.

use crate::{
    paths::Absence,
    scenario::{Comparison, Metric, PathName, Scenario},
    session::Workshop,
    subject::Subject,
};

type Key = (PathName, Scenario, Metric);

#[derive(Default)]
pub(super) struct Standing(Vec<(Key, Box<dyn Subject>)>);

fn key(path: PathName, comparison: &Comparison) -> Key {
    (path, comparison.scenario, comparison.metric)
}

impl Standing {
    /// Tears down what the comparison does not need.
    pub(super) fn keep_for(&mut self, comparison: &Comparison) {
        let needed = [comparison.ours, comparison.twin].map(|path| key(path, comparison));
        self.0.retain(|(key, _)| needed.contains(key));
    }

    /// Tears everything down.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Builds the path unless it stands.
    pub(super) fn build(
        &mut self,
        path: PathName,
        comparison: &Comparison,
        workshop: &mut dyn Workshop,
    ) -> Result<(), Absence> {
        let key = key(path, comparison);
        if !self.0.iter().any(|(other, _)| *other == key) {
            let subject = workshop.subject(path, &comparison.scenario, comparison.metric)?;
            self.0.push((key, subject));
        }
        Ok(())
    }

    /// Ours and its twin, if both stand.
    pub(super) fn both(&mut self, comparison: &Comparison) -> Option<[&mut dyn Subject; 2]> {
        let ours = self
            .0
            .iter()
            .position(|(other, _)| *other == key(comparison.ours, comparison))?;
        let twin = self
            .0
            .iter()
            .position(|(other, _)| *other == key(comparison.twin, comparison))?;
        let [ours, twin] = self.0.get_disjoint_mut([ours, twin]).ok()?;
        Some([&mut *ours.1, &mut *twin.1])
    }
}
