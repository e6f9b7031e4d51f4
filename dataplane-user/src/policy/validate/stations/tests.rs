use std::{fs, path::Path};

use proptest::prelude::*;

use crate::policy::{
    Policy,
    document::{Document, Rule},
    load, numbered,
    records::{Batch, Records},
    testing::{host, network, port, record, route, subnet},
    validate::{Numbered, validate, validate_some, validate_with},
};

/// Whether the records apart from the rest come to the same as all documents together.
fn agree(documents: &[Document]) -> Result<bool, TestCaseError> {
    let (mut few, mut batch): (Vec<Numbered>, Batch) = (Vec::new(), Batch::default());
    for document in documents {
        if !batch.push_document(document, (0, false)) {
            few.push((None, document.clone()));
        }
    }
    let mut records = Records::default();
    records.merge(&batch);
    let apart = validate_with(&few, &records).filter(|_| !batch.has_twins());
    let together = validate(&numbered(documents.iter().cloned()));
    prop_assert_eq!(apart.is_some(), together.is_ok(), "{:?}", together);
    if let (Some(apart), Ok(together)) = (&apart, &together) {
        prop_assert!(apart.stated().eq(together.stated()));
        let rest = |policy: &Policy| Policy {
            records: Records::default(),
            ..policy.clone()
        };
        prop_assert_eq!(rest(apart), rest(together));
    }
    Ok(apart.is_some())
}

#[test]
fn it_agrees_about_every_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/policy");
    let mut seen = [0, 0];
    for folder in ["good", "bad"] {
        for file in fs::read_dir(root.join(folder)).expect("fixtures") {
            let path = file.expect("a file").path();
            if path.extension().is_none_or(|suffix| suffix != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("text");
            let Ok(located) = load("x.yaml", &text) else {
                continue;
            };
            let documents: Vec<Document> = located.into_iter().map(|l| l.document).collect();
            let good = agree(&documents).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            seen[usize::from(good)] += 1;
        }
    }
    assert!(seen[0] > 20 && seen[1] > 5, "{seen:?}");
}

/// A record of some subnet, with values of which few are left.
fn records() -> impl Strategy<Value = String> {
    let networks = prop::sample::select(vec![
        ("blue", 6001),
        ("blue", 6002),
        ("red", 6001),
        ("red", 7001),
    ]);
    let cas = prop::sample::select(vec![
        "10.0.0.0",
        "10.0.0.1",
        "10.0.0.4",
        "10.0.0.5",
        "10.0.0.6",
        "10.0.0.7",
        "10.0.0.15",
        "10.0.1.4",
        "10.0.1.5",
        "10.0.1.6",
        "fd00:a::5",
        "fd00:a::",
        "10.9.9.9",
        "239.0.0.9",
        "0.0.0.0",
    ]);
    let pas = prop::sample::select(vec![
        "192.0.2.1",
        "192.0.2.2",
        "198.51.100.1",
        "198.51.100.2",
        "2001:db8::9",
        "127.0.0.1",
    ]);
    let more = prop::sample::select(vec![
        "",
        "",
        ", rule: TranslationMethodNat",
        ", rule: TranslationMethodEncap",
        ", rule: TranslationMethodNat, useVmMACAddress: true",
        ", useVmMACAddress: true",
        ", type: Dynamic",
        ", type: L2Only",
        ", type: GatewayWildcard",
        ", vmName: x",
    ]);
    (networks, cas, 0_u8..8, pas, more).prop_map(|((network, vsid), ca, last, pa, more)| {
        record(network, (vsid, ca, last), pa, more)
    })
}

/// What is around the records.
fn world() -> Vec<String> {
    let nat = ", rule: TranslationMethodNat";
    let blue = [
        subnet(6001, &["10.0.0.0/28", "fd00:a::/64"], ""),
        subnet(6002, &["10.0.1.0/28"], nat),
    ];
    vec![
        host("a", &["192.0.2.1"]),
        network("blue", "", &blue),
        network("red", "", &[subnet(7001, &["10.0.0.0/28"], "")]),
        port(("blue", "p", "a"), (6001, 2, &["10.0.0.5"]), ""),
        route("blue", (6001, "172.16.0.0/12", "10.0.0.6"), 0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// What is allowed a few records at a time is allowed all together.
    #[test]
    fn a_few_are_right_where_all_are(
        first in prop::collection::vec(records(), 0..5),
        more in prop::collection::vec(records(), 1..3),
    ) {
        let batch_of = |some: Vec<String>| {
            let located = load("x.yaml", &some.concat()).unwrap_or_default();
            let mut batch = Batch::default();
            for located in located {
                batch.push_document(&located.document, (0, false));
            }
            batch
        };
        let located = load("x.yaml", &world().concat()).expect("a world");
        let few = numbered(located.into_iter().map(|located| located.document));
        let mut before = Records::default();
        for record in batch_of(first).iter() {
            let mut with = before.clone();
            with.put(&record);
            if validate_with(&few, &with).is_some() {
                before = with;
            }
        }
        let fresh = batch_of(more);
        prop_assume!(!fresh.has_twins());
        let mut records = before.clone();
        records.merge(&fresh);
        let all = validate_with(&few, &records);
        if let Some(some) = validate_some(&few, &fresh, (&before, &records)) {
            prop_assert_eq!(Some(some), all);
        } else if all.is_some() {
            // Only rules other than the usual one are for the long way.
            let usual = Some(Rule::TranslationMethodEncap);
            let unusual = |vsid: u32, rule: Option<Rule>| vsid == 6002 || rule != usual && rule.is_some();
            let mut all = fresh.iter().chain(before.iter());
            prop_assert!(all.any(|record| unusual(record.vsid, record.kind.rule)));
        }
    }

    #[test]
    fn it_agrees_about_any_records(some in prop::collection::vec(records(), 0..4)) {
        let text = world().into_iter().chain(some).collect::<String>();
        let located = load("x.yaml", &text);
        let located = located.map_err(|faults| TestCaseError::reject(faults[0].to_string()))?;
        let documents: Vec<Document> = located.into_iter().map(|l| l.document).collect();
        agree(&documents)?;
    }
}
