//! The figures of one path alone can be measured, and are of the size that they must have.

use std::collections::BTreeSet;

use dataplane_bench::{
    figures::{Figure, Plan, measure},
    results::goals::{Reads, goals},
};

/// Small enough for every run of the tests.
fn plan() -> Plan {
    Plan {
        records: vec![64],
        policies: vec![64],
        destinations: 64,
        trials: 2,
        policy_trials: 1,
        packets: 64,
        watched: 10_000,
        seed: 7,
    }
}

/// Goals read figures of other sizes, and of nothing else that differs.
fn every_goal_has_its_figure(figures: &[Figure]) {
    const SIZES: [&str; 2] = ["records", "of packets"];
    for goal in goals() {
        let Reads::Figure { name, parameters } = goal.reads else {
            continue;
        };
        let fits = |figure: &&Figure| {
            let same = parameters
                .iter()
                .all(|(name, value)| match figure.parameters.get(*name) {
                    Some(found) => SIZES.contains(name) || found == value,
                    None => false,
                });
            figure.name == name && figure.parameters.len() == parameters.len() && same
        };
        let found = figures.iter().find(fits);
        assert!(found.is_some(), "nothing measures {name} {parameters:?}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn every_figure_is_measured() {
    let mut figures: Vec<Figure> = Vec::new();
    measure(&plan(), |group| {
        figures.extend(group);
        Ok(())
    })
    .expect("figures");
    for figure in &figures {
        assert_eq!(figure.absence, None, "{figure:?}");
        assert!(!figure.trials.is_empty(), "{figure:?}");
        assert!(
            figure.trials.iter().all(|trial| trial.is_finite()),
            "{figure:?}"
        );
        let watched = figure.name == "half-updates";
        assert!(
            watched || figure.parameters["records"] == "64",
            "{figure:?}"
        );
    }
    let conditions: BTreeSet<_> = figures.iter().map(|f| (&f.name, &f.parameters)).collect();
    assert_eq!(
        conditions.len(),
        figures.len(),
        "two figures of the same conditions"
    );
    let names: BTreeSet<&str> = figures.iter().map(|figure| figure.name.as_str()).collect();
    let wanted = [
        "agent-memory",
        "cold-start",
        "first-packet",
        "first-packet-loss",
        "half-updates",
        "kernel-memory",
        "load-rate",
        "memory",
        "memory-load",
        "ns-per-packet",
    ];
    assert_eq!(names, BTreeSet::from(wanted));
    every_goal_has_its_figure(&figures);
    // No table takes less than what stands in it.
    let kernel = figures
        .iter()
        .find(|f| f.name == "kernel-memory")
        .expect("figure");
    assert!(kernel.trials[0] >= 28e6, "{kernel:?}");
}
