//! What every back end must do; each calls [`all`] with a way to open itself.

use futures_util::future::BoxFuture;

use super::{Compare, Op, SharedStore, Store, StoreError, TxnResult};

/// Opens the same store each time; its log keeps four changes.
pub(super) type Open<'a> = &'a dyn Fn() -> BoxFuture<'static, SharedStore>;

pub(super) async fn all(open: Open<'_>) {
    put_range_and_conflict(&*open().await).await;
    restart(open).await;
    watching(open).await;
    compaction(&*open().await).await;
}

fn put(key: &str, value: &str) -> Op {
    let (key, value) = (key.to_owned(), value.as_bytes().to_vec());
    Op::Put { key, value }
}

async fn commit(store: &dyn Store, ops: Vec<Op>) -> u64 {
    match store.txn(Vec::new(), ops).await.unwrap() {
        TxnResult::Committed { revision } => revision,
        TxnResult::Conflict { .. } => panic!("nothing was compared"),
    }
}

async fn shown(store: &dyn Store, prefix: &str, revision: Option<u64>) -> Vec<String> {
    let range = store.range(prefix, revision).await.unwrap();
    let text = |value| String::from_utf8(value).unwrap();
    range
        .pairs
        .into_iter()
        .map(|p| format!("{}={}", p.key, text(p.value)))
        .collect()
}

async fn put_range_and_conflict(store: &dyn Store) {
    assert_eq!(store.range("/", None).await.unwrap().revision, 0);
    let first = commit(
        store,
        vec![put("/a/2", "two"), put("/a/1", "one"), put("/b", "b")],
    )
    .await;
    assert_eq!(shown(store, "/a/", None).await, ["/a/1=one", "/a/2=two"]);

    let compare = |key: &str, mod_revision| Compare {
        key: key.to_owned(),
        mod_revision,
    };
    let there = vec![compare("/a/1", Some(first)), compare("/c", None)];
    let second = store
        .txn(there.clone(), vec![put("/a/1", "ONE")])
        .await
        .unwrap();
    assert_eq!(
        second,
        TxnResult::Committed {
            revision: first + 1
        }
    );
    let again = store
        .txn(there, vec![put("/a/1", "no"), put("/x", "no")])
        .await
        .unwrap();
    assert_eq!(
        again,
        TxnResult::Conflict {
            revision: first + 1
        }
    );
    assert_eq!(
        shown(store, "/", None).await,
        ["/a/1=ONE", "/a/2=two", "/b=b"]
    );

    let pair = store.range("/a/1", None).await.unwrap().pairs.remove(0);
    assert_eq!(
        (pair.create_revision, pair.mod_revision),
        (first, first + 1)
    );
    assert_eq!(shown(store, "/a/1", Some(first)).await, ["/a/1=one"]);
    let future = store.range("/", Some(99)).await.unwrap_err();
    assert!(matches!(future, StoreError::Future { revision: 99, .. }));
}

async fn restart(open: Open<'_>) {
    let store = open().await;
    let revision = store.range("/", None).await.unwrap().revision;
    assert!(revision >= 2);
    assert_eq!(shown(&*store, "/a/1", None).await, ["/a/1=ONE"]);
    let key = "/b".to_owned();
    assert_eq!(
        commit(&*store, vec![Op::Delete { key }]).await,
        revision + 1
    );
    assert_eq!(shown(&*store, "/b", Some(revision)).await, ["/b=b"]);
    assert!(shown(&*store, "/b", None).await.is_empty());
}

async fn watching(open: Open<'_>) {
    let store = open().await;
    let start = store.range("/", None).await.unwrap().revision;
    commit(&*store, vec![put("/w/1", "past")]).await;
    let mut watch = store.watch("/w/", start + 1).await.unwrap();
    let past = watch.next().await.unwrap().unwrap();
    assert_eq!((past.revision, &*past.key), (start + 1, "/w/1"));
    commit(&*store, vec![put("/other", "x")]).await;
    let key = "/w/1".to_owned();
    commit(&*store, vec![Op::Delete { key }]).await;
    let gone = watch.next().await.unwrap().unwrap();
    assert_eq!((gone.revision, gone.pair), (start + 3, None));
    drop(store);
    assert!(watch.next().await.is_none());
}

async fn compaction(store: &dyn Store) {
    let start = store.range("/", None).await.unwrap().revision;
    for n in 0..6 {
        commit(store, vec![put("/n", &n.to_string())]).await;
    }
    let old = store.range("/", Some(start)).await.unwrap_err();
    assert!(matches!(old, StoreError::Compacted { .. }), "{old}");
    let old = store.watch("/", start + 1).await.unwrap_err();
    assert!(matches!(old, StoreError::Compacted { .. }), "{old}");
    assert_eq!(shown(store, "/n", Some(start + 2)).await, ["/n=1"]);
    let mut watch = store.watch("/", start + 3).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap().revision, start + 3);

    let many = (0..9).map(|n| put(&format!("/m/{n}"), "x")).collect();
    let revision = commit(store, many).await;
    assert_eq!(shown(store, "/m/", Some(revision)).await.len(), 9);
    let half = store.watch("/m/", revision).await.unwrap_err();
    assert!(
        matches!(half, StoreError::Compacted { .. }),
        "half a revision is of no use"
    );
}
