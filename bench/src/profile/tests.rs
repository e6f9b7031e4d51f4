//! What each profile must have, and how long it may take.

use super::*;
use crate::{
    results::questions::QUESTIONS,
    scenario::{Keys, Work},
};

const MACHINES: [MachineKind; 2] = [MachineKind::Host, MachineKind::Guest];

#[test]
fn an_unknown_profile_is_told_which_there_are() {
    let error = find("fast").err().expect("unknown").to_string();
    assert_eq!(
        error,
        "there is no profile \"fast\"; there are: quick, full, sanity"
    );
}

#[test]
fn no_comparison_is_there_twice_and_none_is_with_itself() {
    for (profile, machine) in PROFILES
        .iter()
        .flat_map(|profile| MACHINES.map(|machine| (profile, machine)))
    {
        let comparisons = profile.comparisons(machine);
        for (index, comparison) in comparisons.iter().enumerate() {
            assert!(!comparisons[..index].contains(comparison), "{comparison:?}");
            assert_ne!(comparison.ours, comparison.twin);
            let asked = QUESTIONS.iter().any(|question| question.asks(comparison));
            assert!(asked, "no table has {comparison:?}");
        }
    }
}

#[test]
fn the_full_profile_has_every_axis() {
    let all = find("full").expect("full").comparisons(MachineKind::Host);
    let some = |what: &str, found: &dyn Fn(&Scenario) -> bool| {
        assert!(
            all.iter().any(|comparison| found(&comparison.scenario)),
            "{what}"
        );
    };
    for frame in [60, 256, 512, 1514] {
        some("a frame length", &|scenario| scenario.frame == frame);
    }
    for records in [1 << 10, 1 << 16, 1 << 20, 1 << 23] {
        some("records", &|scenario| scenario.records == records);
    }
    for keys in [Keys::OneHot, Keys::ThousandHot, Keys::Zipf, Keys::Uniform] {
        some("keys", &|scenario| scenario.keys == keys);
    }
    for work in [
        Work::Encap,
        Work::Decap,
        Work::EncapDecap,
        Work::RewriteOut,
        Work::RewriteIn,
        Work::RewriteOutIn,
        Work::SameHost,
    ] {
        some("work", &|scenario| scenario.work == work);
    }
    some("two queues", &|scenario| scenario.queues == 2);
    some("updates", &|scenario| scenario.updates_per_second == 10_000);
    for path in PathName::ALL {
        let there = all
            .iter()
            .any(|comparison| [comparison.ours, comparison.twin].contains(&path));
        assert!(there, "{path}");
    }
}

#[test]
fn each_side_goes_first_as_often_as_the_other() {
    for name in ["quick", "full"] {
        let rules = find(name).expect("a profile").rules;
        let even = [rules.demands.min_pairs, rules.max_pairs].map(|pairs| pairs % 2);
        assert_eq!(even, [0, 0], "{name}");
    }
}

#[test]
fn profiles_keep_to_their_time() {
    let minutes = |name: &str, machine| {
        let profile = find(name).expect("a profile");
        let (_, most) = profile.length(&profile.comparisons(machine));
        most.as_secs_f64() / 60.0
    };
    let quick: f64 = MACHINES
        .iter()
        .map(|machine| minutes("quick", *machine))
        .sum();
    assert!(quick < 2.5, "{quick}");
    assert!(
        minutes("full", MachineKind::Host) < 32.0,
        "{}",
        minutes("full", MachineKind::Host)
    );
    assert!(
        minutes("full", MachineKind::Guest) < 8.0,
        "{}",
        minutes("full", MachineKind::Guest)
    );
    assert!(minutes("sanity", MachineKind::Host) < 0.5);
}

#[test]
fn what_has_the_same_set_up_stands_side_by_side() {
    let all = find("full").expect("full").comparisons(MachineKind::Host);
    let key = |comparison: &Comparison| (comparison.scenario, comparison.metric);
    for (index, comparison) in all.iter().enumerate().skip(1) {
        let earlier = all[..index]
            .iter()
            .any(|other| key(other) == key(comparison));
        assert!(
            !earlier || key(&all[index - 1]) == key(comparison),
            "{comparison:?}"
        );
    }
}
