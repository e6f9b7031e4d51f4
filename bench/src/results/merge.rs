//! Several runs of one profile on one machine are one: a comparison that was measured again replaces
//! what was known of it. So a single row can be measured anew and appended to a file.

use super::{
    file::Recorded,
    row::{Row, Run},
};
use crate::scenario::Comparison;

/// Runs with those of the same place and profile put together, in the order of the first of each.
pub(super) fn merged(runs: Vec<Recorded>) -> Vec<Recorded> {
    let mut places: Vec<Recorded> = Vec::new();
    for later in runs {
        match places
            .iter_mut()
            .find(|known| alike(&known.run, &later.run))
        {
            Some(known) => replace(known, later),
            None => places.push(later),
        }
    }
    places
}

fn alike(one: &Run, two: &Run) -> bool {
    let place = |run: &Run| (run.kernel.clone(), run.machine, run.cpu.clone(), run.cores);
    place(one) == place(two) && one.profile == two.profile
}

fn replace(known: &mut Recorded, later: Recorded) {
    let Recorded { run, rows } = later;
    known
        .rows
        .retain(|old| !rows.iter().any(|new| same_question(old, new)));
    known.rows.extend(rows);
    known.run.dirty |= run.dirty;
    known.run.tools.extend(run.tools);
    if !known.run.revision.split(", ").any(|r| r == run.revision) {
        known.run.revision = format!("{}, {}", known.run.revision, run.revision);
    }
}

fn same_question(one: &Row, two: &Row) -> bool {
    match (one, two) {
        (Row::Figure(one), Row::Figure(two)) => {
            (&one.name, &one.parameters) == (&two.name, &two.parameters)
        }
        _ => comparison(one).is_some_and(|one| comparison(two) == Some(one)),
    }
}

fn comparison(row: &Row) -> Option<Comparison> {
    match row {
        Row::Trial(trial) => Some(trial.comparison),
        Row::Unavailable(row) => Some(row.comparison),
        Row::Run(_) | Row::Figure(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        results::{
            row::MachineKind,
            sample,
            summary::{Found, Summary},
        },
        scenario::PathName,
    };

    fn median(runs: &[Recorded], place: usize) -> f64 {
        let summary = Summary::of(&runs[place]);
        let Found::Measured { verdict, .. } = &summary.lines.last().expect("a line").found else {
            panic!("{summary:?}");
        };
        verdict.estimate.expect("pairs").median
    }

    #[test]
    fn what_is_measured_again_replaces_what_was_and_the_rest_stays() {
        let plain = sample::against(PathName::NveXdp, PathName::TwinXdp);
        let mut rows = sample::rows();
        let mut again = sample::run(18, MachineKind::Host);
        again.revision = "fedcba".to_owned();
        rows.push(Row::Run(again));
        rows.extend(sample::trials(plain, 2e6, &[0.5, 0.5, 0.5, 0.9]));
        let runs = sample::of(&rows).runs;
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].run.revision, "0123456789ab, fedcba");
        assert!((median(&runs, 0) - 0.5).abs() < 1e-9);
        let before = Summary::of(&sample::results().runs[0]).lines.len();
        assert_eq!(Summary::of(&runs[0]).lines.len(), before);
    }

    #[test]
    fn other_places_and_profiles_stay_apart() {
        let mut rows = sample::rows();
        rows.push(Row::Run(sample::run(12, MachineKind::Guest)));
        let mut quick = sample::run(18, MachineKind::Host);
        quick.profile = "quick".to_owned();
        rows.push(Row::Run(quick));
        assert_eq!(sample::of(&rows).runs.len(), 3);
    }
}
