use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::store::{SharedStore, contract, open};

#[tokio::test]
async fn it_does_what_a_store_must_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub/policy.redb");
    let reopen = || {
        let path = path.clone();
        async move {
            // The file is free when the last blocking call of the former one ended.
            for _ in 0..200 {
                match RedbStore::open_with_log(&path, 4).await {
                    Ok(store) => return Arc::new(store) as SharedStore,
                    Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            panic!("the file stays locked");
        }
        .boxed()
    };
    contract::all(&reopen).await;
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let _first = RedbStore::open(&path).await.unwrap();
    let url = format!("redb://{}", path.display());
    let error = open(&url).await.err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
}

/// What the first request of a store says.
async fn refusal(url: &str) -> String {
    let store = open(url).await.unwrap();
    store.range("/", None).await.err().unwrap().to_string()
}

#[tokio::test]
async fn foreign_and_damaged_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let url = format!("redb://{}", path.display());
    fs::write(&path, "these are not the tables you look for".repeat(500)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = refusal(&url).await;
    assert!(error.contains("is damaged or no store of nved"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::remove_file(&path).unwrap();
    let table: TableDefinition<&str, &str> = TableDefinition::new("recipes");
    let foreign = Database::create(&path).unwrap();
    let write = foreign.begin_write().unwrap();
    write
        .open_table(table)
        .unwrap()
        .insert("soup", "water")
        .unwrap();
    write.commit().unwrap();
    drop(foreign);
    let error = refusal(&url).await;
    assert!(error.contains("is damaged or no store of nved"), "{error}");
}

#[tokio::test]
async fn other_urls_say_what_to_use() {
    for (url, words) in [
        ("etcd://a,b", "is not supported yet; use redb:///PATH"),
        ("redb://relative", "is no URL of a store"),
        ("/var/lib/x", "is no URL of a store"),
    ] {
        let error = open(url).await.err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// More than the database keeps in memory, so that reading it makes room.
#[tokio::test]
async fn what_the_database_writes_when_it_reads_is_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let store = RedbStore::open(&path).await.unwrap();
    let put = |number: usize, bytes: usize| Op::Put {
        key: format!("/{number}"),
        value: vec![7; bytes],
    };
    let many = (0..3000).map(|number| put(number, 4000)).collect();
    store.txn(Vec::new(), many).await.unwrap();
    for round in 0..20 {
        store
            .txn(Vec::new(), vec![put(round, 50_000)])
            .await
            .unwrap();
        store.range("/", None).await.unwrap();
        assert!(!store.inner.file.changed(), "round {round}");
    }
    let own = fs::OpenOptions::new().append(true).open(&path).unwrap();
    own.set_len(own.metadata().unwrap().len() + 1).unwrap();
    assert!(store.inner.file.changed());
}
