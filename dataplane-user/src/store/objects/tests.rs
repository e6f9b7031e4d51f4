use super::*;
use crate::{
    policy::{PortKey, load},
    store::{SharedStore, open},
};

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
    assert!(load_all(&*store).await.unwrap().documents.is_empty());

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
    assert_eq!(stored.documents.len(), first.changes.len());
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
    assert!(load_all(&*store).await.unwrap().documents.is_empty());
}
