mod watched;

use super::*;
use crate::{
    policy::{PortKey, load},
    store::{SharedStore, open},
};

const LEARNED: &str = include_str!("../../../../tests/fixtures/policy/good/learned.yaml");
const ROUTER: &str = include_str!("../../../../tests/fixtures/policy/good/external-router.yaml");
const TWO_TENANTS: &str = include_str!("../../../../tests/fixtures/policy/good/two-tenants.yaml");

fn documents(text: &str) -> Vec<Document> {
    let located = load("test.yaml", text).unwrap();
    located.into_iter().map(|l| l.document).collect()
}

async fn store() -> (tempfile::TempDir, SharedStore) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("redb://{}/policy.redb", folder.path().display());
    let store = open(&url).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn apply_creates_then_changes_nothing() {
    let (_folder, store) = store().await;
    let dry = apply(&*store, documents(TWO_TENANTS), true).await.unwrap();
    assert!(dry.changes.iter().all(|c| c.action == Action::Created));
    assert!(load_all(&*store).await.unwrap().is_empty());

    let first = apply(&*store, documents(TWO_TENANTS), false).await.unwrap();
    assert_eq!((first.revision, &first.changes), (1, &dry.changes));
    let again = apply(&*store, documents(TWO_TENANTS), false).await.unwrap();
    assert_eq!(again.revision, 1);
    assert!(again.changes.iter().all(|c| c.action == Action::Unchanged));

    let mut changed = documents(TWO_TENANTS);
    if let Document::VMNetwork(network) = &mut changed[1] {
        network.metadata.labels.insert("env".into(), "demo".into());
    }
    let report = apply(&*store, changed, false).await.unwrap();
    let configured = report
        .changes
        .iter()
        .filter(|c| c.action == Action::Configured);
    let configured: Vec<&str> = configured.map(|c| &*c.object).collect();
    assert_eq!((configured, report.revision), (vec!["vmnetwork/blue"], 2));
    let stored = load_all(&*store).await.unwrap();
    assert_eq!(stored.len(), first.changes.len());
    assert_eq!(
        stored
            .documents
            .iter()
            .filter(|(_, revision)| *revision == 2)
            .count(),
        1
    );
}

#[tokio::test]
async fn an_invalid_document_stops_all_of_them() {
    let (_folder, store) = store().await;
    let mut bad = documents(TWO_TENANTS);
    bad.retain(|d| !matches!(d, Document::Host(_)));
    let error = apply(&*store, bad, false).await.unwrap_err();
    let ObjectError::Invalid(problems) = error else {
        panic!("{error}")
    };
    assert_eq!(problems.problems.len(), 4, "one for each port");
    assert_eq!(load_all(&*store).await.unwrap().revision, 0);
}

#[tokio::test]
async fn delete_refuses_what_is_in_use() {
    let (_folder, store) = store().await;
    apply(&*store, documents(TWO_TENANTS), false).await.unwrap();
    let host = Key::Host("host-b".into());
    let error = delete(&*store, &host).await.unwrap_err();
    let ObjectError::InUse { problems, .. } = error else {
        panic!("{error}")
    };
    let users: Vec<&str> = problems.problems.iter().map(|p| &*p.object).collect();
    assert_eq!(users, ["port/blue/vm2", "port/red/vm2"]);

    for network in ["blue", "red"] {
        let port = Key::Port(PortKey::new(network, "vm2"));
        let report = delete(&*store, &port).await.unwrap();
        assert_eq!(report.changes[0].action, Action::Deleted);
    }
    delete(&*store, &host).await.unwrap();
    let error = delete(&*store, &host).await.unwrap_err().to_string();
    assert_eq!(error, "host/host-b not found");
}

#[tokio::test]
async fn every_object_can_be_deleted_by_its_name() {
    for text in [LEARNED, ROUTER] {
        let (_folder, store) = store().await;
        let report = apply(&*store, documents(text), false).await.unwrap();
        assert_eq!(load_all(&*store).await.unwrap().len(), report.changes.len());
        let mut objects: Vec<String> = report.changes.into_iter().map(|c| c.object).collect();
        objects.retain(|object| !object.starts_with("host/") && !object.starts_with("vmnetwork/"));
        for object in objects {
            let (kind, name) = object.split_once('/').unwrap();
            delete(&*store, &Key::parse(kind, name, None).unwrap())
                .await
                .unwrap();
        }
        assert_eq!(load_all(&*store).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn appliers_at_the_same_time_both_succeed() {
    let (_folder, store) = store().await;
    let both = [documents(TWO_TENANTS), documents(TWO_TENANTS)];
    let both = both.map(|documents| apply(&*store, documents, false));
    for report in futures_util::future::join_all(both).await {
        report.unwrap();
    }
}

#[tokio::test]
async fn ids_are_kept_apart_from_the_policy() {
    let (_folder, store) = store().await;
    assert_eq!(load_ids(&*store, "host-a").await.unwrap(), None);
    let mut ids = Ids::new(7);
    ids.port_slot(&PortKey::new("blue", "vm1")).unwrap();
    save_ids(&*store, "host-a", &ids).await.unwrap();
    assert_eq!(load_ids(&*store, "host-a").await.unwrap(), Some(ids));
    assert_eq!(load_ids(&*store, "host").await.unwrap(), None);
    assert!(load_all(&*store).await.unwrap().is_empty());
}

/// A learned record of an address in the fixture's subnet, by the host.
fn learned(last: u8, host: &str) -> Document {
    let mut record = documents(LEARNED)
        .into_iter()
        .find_map(|document| {
            let Document::LookupRecord(record) = document else {
                return None;
            };
            let found = record.spec.customer_address.to_string() == "10.0.0.8";
            found.then_some(record)
        })
        .unwrap();
    record.spec.customer_address = [10, 0, 0, last].into();
    record
        .metadata
        .labels
        .insert("learned-by".into(), host.into());
    Document::LookupRecord(record)
}

#[tokio::test]
async fn who_creates_a_record_first_has_it() {
    let (_folder, store) = store().await;
    apply(&*store, documents(LEARNED), false).await.unwrap();
    let first = create(&*store, vec![learned(60, "host-a")]).await.unwrap();
    assert_eq!(first, [Key::of(&learned(60, "host-a"))]);
    let both = vec![learned(60, "host-b"), learned(61, "host-b")];
    let second = create(&*store, both).await.unwrap();
    assert_eq!(second, [Key::of(&learned(61, "host-b"))]);
    let stored = load_all(&*store).await.unwrap().into_documents();
    assert!(stored.contains(&learned(60, "host-a")));
    assert!(stored.contains(&learned(61, "host-b")));
    let revision = load_all(&*store).await.unwrap().revision;
    let again = create(&*store, vec![learned(60, "host-b")]).await.unwrap();
    assert_eq!(again, []);
    assert_eq!(load_all(&*store).await.unwrap().revision, revision);
}

#[tokio::test]
async fn of_two_at_once_one_creates_it() {
    let (_folder, store) = store().await;
    apply(&*store, documents(LEARNED), false).await.unwrap();
    let (a, b) = tokio::join!(
        create(&*store, vec![learned(60, "host-a")]),
        create(&*store, vec![learned(60, "host-b")]),
    );
    assert_eq!(a.unwrap().len() + b.unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_not_created() {
    let (_folder, store) = store().await;
    apply(&*store, documents(LEARNED), false).await.unwrap();
    // The gateway's.
    let error = create(&*store, vec![learned(1, "host-a"), learned(60, "host-a")]).await;
    assert!(matches!(error, Err(ObjectError::Invalid(_))), "{error:?}");
    let stored = load_all(&*store).await.unwrap().into_documents();
    assert!(!stored.contains(&learned(60, "host-a")));
}

#[tokio::test]
async fn only_what_is_as_it_was_made_is_withdrawn() {
    let (_folder, store) = store().await;
    apply(&*store, documents(LEARNED), false).await.unwrap();
    let made = vec![learned(60, "host-a"), learned(61, "host-a")];
    create(&*store, made.clone()).await.unwrap();
    // The operator takes one over.
    let Document::LookupRecord(mut fixed) = learned(61, "host-a") else {
        panic!("a record")
    };
    fixed.metadata.labels.clear();
    let fixed = Document::LookupRecord(fixed);
    apply(&*store, vec![fixed.clone()], false).await.unwrap();
    assert_eq!(withdraw(&*store, &made).await.unwrap(), 1);
    assert_eq!(withdraw(&*store, &made).await.unwrap(), 0);
    let stored = load_all(&*store).await.unwrap().into_documents();
    assert!(!stored.contains(&made[0]) && stored.contains(&fixed));
}

#[tokio::test]
async fn records_that_an_earlier_build_wrote_go_over_as_they_change() {
    let (_folder, store) = store().await;
    let all = documents(LEARNED);
    let put = |document: &Document| Op::Put {
        key: store_key(&Key::of(document)),
        value: serde_json::to_vec(document).unwrap(),
    };
    store
        .txn(Vec::new(), all.iter().map(put).collect())
        .await
        .unwrap();
    let keys = async |prefix: &str| store.range(prefix, None).await.unwrap().pairs.len();
    let (apart, together) = ("/nve/v1/lookuprecord/6001/10.", "/nve/v1/lookuprecords/");
    let before = keys(apart).await;
    assert!(before > 2);
    let again = apply(&*store, all.clone(), false).await.unwrap();
    assert!(again.changes.iter().all(|c| c.action == Action::Unchanged));
    assert_eq!((keys(apart).await, keys(together).await), (before, 0));

    let Document::LookupRecord(mut changed) = learned(8, "host-a") else {
        panic!("a record")
    };
    changed.spec.context = Some("moved".to_owned());
    let changed = Document::LookupRecord(changed);
    let report = apply(&*store, vec![changed.clone()], false).await.unwrap();
    assert_eq!(report.changes[0].action, Action::Configured);
    assert_eq!((keys(apart).await, keys(together).await), (before - 1, 1));
    let read = load_all(&*store).await.unwrap();
    assert!(read.says(&super::load(&*store).await.unwrap().stored));
    assert_eq!(
        (read.len(), read.get(&Key::of(&changed))),
        (all.len(), Some(changed.clone()))
    );
    let record = read.records.get((6001, [10, 0, 0, 8].into())).unwrap();
    assert_eq!(record.kind.revision, report.revision);

    delete(&*store, &Key::of(&changed)).await.unwrap();
    assert_eq!((keys(apart).await, keys(together).await), (before - 1, 0));
    assert_eq!(load_all(&*store).await.unwrap().len(), all.len() - 1);
}
