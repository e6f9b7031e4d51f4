use std::fs;

use super::*;
use crate::store::{SharedStore, contract};

fn put(value: &str) -> Vec<Op> {
    let (key, value) = ("/k".to_owned(), value.as_bytes().to_vec());
    vec![Op::Put { key, value }]
}

async fn values(store: &ReopeningStore) -> Result<Vec<String>, StoreError> {
    let range = store.range("/", None).await?;
    let text = |value| String::from_utf8(value).unwrap();
    Ok(range
        .pairs
        .into_iter()
        .map(|pair| text(pair.value))
        .collect())
}

/// Waits for an answer that is wanted.
async fn answers(store: &ReopeningStore, wanted: &[&str]) {
    let mut last = None;
    for _ in 0..200 {
        match values(store).await {
            Ok(values) if values == wanted => return,
            other => last = Some(other),
        }
        sleep(PAUSE).await;
    }
    panic!("not {wanted:?} but {last:?}");
}

async fn store_with(path: &Path, value: &str) -> ReopeningStore {
    let store = ReopeningStore::open(path).await.unwrap();
    store.txn(Vec::new(), put(value)).await.unwrap();
    store
}

#[tokio::test]
async fn it_does_what_a_store_must_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let open = || {
        let path = path.clone();
        async move {
            let store = ReopeningStore::open_with_log(&path, 4).await.unwrap();
            Arc::new(store) as SharedStore
        }
        .boxed()
    };
    contract::all(&open).await;
}

#[tokio::test]
async fn a_removed_file_is_another_store_and_ends_watches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let store = store_with(&path, "first").await;
    let first = store.range("/", None).await.unwrap().store;
    let mut watch = store.watch("/", 2).await.unwrap();
    fs::rename(&path, folder.path().join("aside")).unwrap();
    assert!(
        watch.next().await.is_none(),
        "the watch of a lost file goes on"
    );
    answers(&store, &[]).await;
    let second = store.range("/", None).await.unwrap();
    assert_ne!(first, second.store);
    store.txn(Vec::new(), put("second")).await.unwrap();
    // The first one comes back as it was.
    fs::rename(folder.path().join("aside"), &path).unwrap();
    answers(&store, &["first"]).await;
    assert_eq!(store.range("/", None).await.unwrap().store, first);
}

#[tokio::test]
async fn a_file_that_somebody_overwrites_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let store = store_with(&path, "ours").await;
    let junk = b"something else entirely".repeat(10_000);
    fs::write(&path, &junk).unwrap();
    let mut error = None;
    for _ in 0..100 {
        error = values(&store).await.err();
        if matches!(error, Some(StoreError::Corrupt { .. })) {
            break;
        }
        sleep(PAUSE).await;
    }
    let error = error.expect("an error").to_string();
    assert!(error.contains("is damaged or no store of nved"), "{error}");
    assert!(error.contains("move it away"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), junk, "closing wrote into it");
    fs::remove_file(&path).unwrap();
    answers(&store, &[]).await;
    store.txn(Vec::new(), put("again")).await.unwrap();
    answers(&store, &["again"]).await;
}

#[tokio::test]
async fn what_is_left_of_a_file_on_a_full_disk_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    let store = store_with(&path, "first").await;
    answers(&store, &["first"]).await;
}

/// Whatever is in the file, the answer is the truth or an error, and never a panic.
#[tokio::test]
async fn flipped_bits_are_an_error_or_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    drop(store_with(&path, "kept").await);
    let whole = loop {
        // Closed when its last task ended.
        if let Ok(store) = RedbStore::open_to_write(&path, 4).await {
            drop(store);
            break fs::read(&path).unwrap();
        }
        sleep(PAUSE).await;
    };
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut errors = 0;
    for (round, place) in used.iter().step_by(used.len() / 100).enumerate() {
        let path = folder.path().join(format!("{round}.redb"));
        let mut flipped = whole.clone();
        flipped[*place] ^= 1 << (round % 8);
        fs::write(&path, &flipped).unwrap();
        let store = ReopeningStore::open(&path).await.unwrap();
        match values(&store).await {
            Ok(values) => assert!(
                values.is_empty() || values == ["kept"],
                "{values:?} by byte {place}"
            ),
            Err(error) => {
                errors += 1;
                let told = error.to_string();
                assert!(told.contains("move it away"), "byte {place}: {told}");
            }
        }
    }
    assert!(errors > 0, "nothing was noticed");
}

#[tokio::test]
async fn what_is_no_file_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.redb");
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, 0o600.into(), 0).unwrap();
    let store = ReopeningStore::open(&path).await.unwrap();
    let error = values(&store).await.unwrap_err().to_string();
    assert!(error.contains("no regular file"), "{error}");
}

#[tokio::test]
async fn a_panic_is_an_error_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder.path().join("policy.redb"), "kept").await;
    let handle = store.shared.get().await.unwrap();
    let panics = handle.blocking(|_| -> Result<(), StoreError> { panic!("on purpose") });
    let result = panics.await;
    let error = store
        .shared
        .judge(handle.clone(), result)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("failed: task"), "{error}");
    drop(handle);
    answers(&store, &["kept"]).await;
}
