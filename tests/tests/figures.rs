//! The figures of one path alone can be measured, and are of the size that they must have.

use std::collections::BTreeSet;

use dataplane_bench::figures::{Figure, Plan, measure};

/// Small enough for every run of the tests.
fn plan() -> Plan {
    Plan {
        records: vec![64],
        policies: vec![64],
        destinations: 64,
        trials: 2,
        policy_trials: 1,
        packets: 64,
        seed: 7,
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
        assert_eq!(figure.parameters["records"], "64", "{figure:?}");
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
        "kernel-memory",
        "load-rate",
        "ns-per-packet",
    ];
    assert_eq!(names, BTreeSet::from(wanted));
    // No table takes less than what stands in it.
    let kernel = figures
        .iter()
        .find(|f| f.name == "kernel-memory")
        .expect("figure");
    assert!(kernel.trials[0] >= 28e6, "{kernel:?}");
}
