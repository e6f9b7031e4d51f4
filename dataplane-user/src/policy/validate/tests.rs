use super::*;
use crate::{control::protocol::Problem, policy::load};

const BASE: &str = include_str!("../../../../tests/fixtures/policy/good/two-tenants.yaml");

fn documents(text: &str) -> Vec<Document> {
    let located = load("test.yaml", text).unwrap();
    located.into_iter().map(|l| l.document).collect()
}

#[test]
fn a_fault_of_a_stored_object_names_the_document_that_causes_it() {
    let stored = documents(BASE);
    let mut change = documents(BASE);
    change.retain(|d| matches!(Key::of(d), Key::VmNetwork(name) if name == "blue"));
    if let Document::VMNetwork(network) = &mut change[0] {
        network.spec.virtual_subnets[0].prefixes = vec!["10.7.0.0/24".parse().unwrap()];
    }
    let faults = validate(&merge(stored, change)).unwrap_err();
    let fault = faults
        .iter()
        .find(|f| f.object.to_string() == "port/blue/vm1")
        .unwrap();
    assert_eq!(fault.document, Some(0));
    assert_eq!(
        fault.message,
        "10.0.0.5 is outside 10.7.0.0/24, because of vmnetwork/blue (document 1 of the request)"
    );
}

#[test]
fn applying_the_same_again_is_valid() {
    let both = merge(documents(BASE), documents(BASE));
    assert_eq!(both.len(), documents(BASE).len());
    validate(&both).unwrap();
}

#[test]
fn a_conflict_with_a_stored_object_is_the_request_s() {
    let text = "apiVersion: nve/v1\nkind: LookupRecord\nmetadata: {vmNetwork: blue}\nspec: {virtualSubnetId: 6001, customerAddress: 10.0.0.5, macAddress: 02:00:00:0b:00:55, providerAddress: 192.0.2.9}\n";
    let faults = validate(&merge(documents(BASE), documents(text))).unwrap_err();
    assert_eq!(faults.len(), 1);
    let problem = Problem::from(faults[0].clone());
    assert_eq!(problem.document, Some(0));
    assert_eq!(problem.object, "lookuprecord/6001/10.0.0.5");
}
