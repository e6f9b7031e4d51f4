use std::{fs, path::Path};

use super::*;
use crate::{
    policy::Key,
    settings::{KeepAlive, TcHook, UplinkMode},
    store::{SharedStore, objects, open},
};

fn settings(path: &Path) -> Settings {
    Settings {
        host: "host-a".to_owned(),
        uplinks: Vec::new(),
        uplink_mode: UplinkMode::Tc,
        tc_hook: TcHook::Auto,
        neighbours: KeepAlive::Auto,
        store: format!("redb://{}", path.display()),
        socket: "/nowhere".into(),
        pin: "/nowhere".into(),
        lookup_capacity: 1,
        slow_path: crate::slowpath::Limits::DEFAULT,
    }
}

async fn apply(store: &SharedStore, hosts: &[&str]) {
    let documents = hosts.iter().map(|name| {
        let json = format!(
            r#"{{"apiVersion":"nve/v1","kind":"Host","metadata":{{"name":"{name}"}},"spec":{{"providerAddresses":[{{"address":"192.0.2.{}"}}]}}}}"#,
            name.len()
        );
        serde_json::from_str(&json).unwrap()
    });
    objects::apply(&**store, documents.collect(), false)
        .await
        .unwrap();
}

fn hosts(source: &Source) -> Vec<&str> {
    source.policy.hosts.keys().map(String::as_str).collect()
}

/// Puts another file in the place of the store's, and waits until that is seen.
async fn replace(store: &SharedStore, path: &Path, by: Option<&Path>) {
    let before = store.range("/", None).await.unwrap().store;
    match by {
        Some(file) => fs::rename(file, path).unwrap(),
        None => fs::rename(path, path.with_extension("aside")).unwrap(),
    }
    for _ in 0..200 {
        let now = store.range("/", None).await;
        if now.is_ok_and(|now| now.store != before) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nobody noticed");
}

#[tokio::test]
async fn a_store_that_was_lost_takes_no_policy_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let settings = settings(&path);
    let store = open(&settings.store).await.unwrap();
    apply(&store, &["host-a", "host-bb"]).await;
    let mut source = Source::default();
    assert!(source.refresh(&*store, &settings).await);
    assert_eq!(hosts(&source), ["host-a", "host-bb"]);
    let first = source.store;

    replace(&store, &path, None).await;
    assert!(source.refresh(&*store, &settings).await);
    assert_eq!(hosts(&source), ["host-a", "host-bb"]);
    let told = source.conditions.concat();
    for part in [
        &*settings.store,
        "replaced",
        "without host host-a",
        "apply the policy again",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_ne!(source.store, first, "the numbers are not in this store");

    // Documents that say nothing of this host change nothing, however many there are.
    for other in ["host-ccc", "host-dddd", "host-eeeee"] {
        apply(&store, &[other]).await;
        source.refresh(&*store, &settings).await;
        assert_eq!(hosts(&source), ["host-a", "host-bb"]);
    }
    apply(&store, &["host-a"]).await;
    source.refresh(&*store, &settings).await;
    assert_eq!(
        hosts(&source),
        ["host-a", "host-ccc", "host-dddd", "host-eeeee"]
    );
    assert!(source.conditions.is_empty());

    let key = Key::Host("host-a".to_owned());
    objects::delete(&*store, &key).await.unwrap();
    source.refresh(&*store, &settings).await;
    assert_eq!(
        hosts(&source),
        ["host-ccc", "host-dddd", "host-eeeee"],
        "deleted on purpose"
    );
}

#[tokio::test]
async fn the_former_store_may_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let settings = settings(&path);
    let store = open(&settings.store).await.unwrap();
    apply(&store, &["host-a"]).await;
    let mut source = Source::default();
    source.refresh(&*store, &settings).await;
    replace(&store, &path, None).await;
    source.refresh(&*store, &settings).await;
    assert!(!source.conditions.is_empty());
    replace(&store, &path, Some(&path.with_extension("aside"))).await;
    source.refresh(&*store, &settings).await;
    assert!(source.conditions.is_empty(), "{:?}", source.conditions);
    let key = Key::Host("host-a".to_owned());
    objects::delete(&*store, &key).await.unwrap();
    source.refresh(&*store, &settings).await;
    assert!(hosts(&source).is_empty(), "deleted on purpose");
}

#[tokio::test]
async fn an_older_copy_of_the_same_store_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let settings = settings(&path);
    let store = open(&settings.store).await.unwrap();
    apply(&store, &["host-bb"]).await;
    fs::copy(&path, path.with_extension("backup")).unwrap();
    apply(&store, &["host-a"]).await;
    let mut source = Source::default();
    source.refresh(&*store, &settings).await;
    fs::rename(path.with_extension("backup"), &path).unwrap();
    while source.store == 0 {
        source.refresh(&*store, &settings).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(hosts(&source), ["host-a", "host-bb"]);
    assert!(source.conditions.concat().contains("was replaced"));
}
