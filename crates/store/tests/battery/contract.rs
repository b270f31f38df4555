//! Reads and writes.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use gantry_store::{Error, ListOptions, Store};

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

pub(crate) async fn a_created_key_is_read_back(store: &dyn Store) {
    assert_eq!(store.get("/r/a").await.unwrap().kv, None);
    let revision = store.create("/r/a", bytes("one"), None).await.unwrap();
    let found = store.get("/r/a").await.unwrap();
    let kv = found.kv.unwrap();
    assert_eq!((kv.key.as_str(), &kv.value[..]), ("/r/a", &b"one"[..]));
    assert_eq!((kv.mod_revision, kv.create_revision, kv.version), (revision, revision, 1));
    assert_eq!(found.revision, revision);
}

pub(crate) async fn creating_twice_fails(store: &dyn Store) {
    store.create("/r/a", bytes("one"), None).await.unwrap();
    let again = store.create("/r/a", bytes("two"), None).await;
    assert_eq!(again, Err(Error::AlreadyExists { key: "/r/a".into() }));
    assert_eq!(&store.get("/r/a").await.unwrap().kv.unwrap().value[..], b"one");
}

pub(crate) async fn an_update_needs_the_present_revision(store: &dyn Store) {
    let missing = store.update("/r/a", bytes("x"), 1, None).await;
    assert_eq!(missing, Err(Error::NotFound { key: "/r/a".into() }));
    let first = store.create("/r/a", bytes("one"), None).await.unwrap();
    let second = store.update("/r/a", bytes("two"), first, None).await.unwrap();
    assert!(second > first);
    let kv = store.get("/r/a").await.unwrap().kv.unwrap();
    assert_eq!((kv.mod_revision, kv.create_revision, kv.version), (second, first, 2));
}

pub(crate) async fn a_conflict_carries_what_is_stored(store: &dyn Store) {
    let first = store.create("/r/a", bytes("one"), None).await.unwrap();
    store.update("/r/a", bytes("two"), first, None).await.unwrap();
    let stored = store.get("/r/a").await.unwrap().kv.unwrap();
    let expected = Error::Conflict { expected: first, current: Box::new(stored) };
    assert_eq!(store.update("/r/a", bytes("three"), first, None).await, Err(expected.clone()));
    assert_eq!(store.delete("/r/a", Some(first)).await, Err(expected));
}

pub(crate) async fn deleting_returns_the_value(store: &dyn Store) {
    assert_eq!(store.delete("/r/a", None).await, Err(Error::NotFound { key: "/r/a".into() }));
    assert_eq!(store.delete("/r/a", Some(1)).await, Err(Error::NotFound { key: "/r/a".into() }));
    let revision = store.create("/r/a", bytes("one"), None).await.unwrap();
    let deleted = store.delete("/r/a", Some(revision)).await.unwrap();
    assert_eq!(&deleted.kv.value[..], b"one");
    assert!(deleted.revision > revision);
    assert_eq!(store.get("/r/a").await.unwrap().kv, None);
    let second = store.create("/r/a", bytes("again"), None).await.unwrap();
    let kv = store.delete("/r/a", None).await.unwrap().kv;
    assert_eq!((kv.create_revision, kv.version), (second, 1));
}

pub(crate) async fn lists_are_paged_at_one_revision(store: &dyn Store) {
    for name in ["a", "b", "c", "d", "e"] {
        store.create(&format!("/r/{name}"), bytes(name), None).await.unwrap();
    }
    store.create("/r2/x", bytes("not below /r/"), None).await.unwrap();
    let options = ListOptions { limit: 2, ..ListOptions::default() };
    let first = store.list("/r/", options).await.unwrap();
    assert_eq!(keys(&first.items), ["/r/a", "/r/b"]);
    assert_eq!((first.more(), first.remaining), (true, 3));
    // Changes between the pages do not show.
    store.create("/r/bb", bytes("new"), None).await.unwrap();
    store.delete("/r/d", None).await.unwrap();
    let next =
        |after: &str| ListOptions { revision: Some(first.revision), limit: 2, after: Some(after.into()) };
    let second = store.list("/r/", next("/r/b")).await.unwrap();
    assert_eq!(keys(&second.items), ["/r/c", "/r/d"]);
    assert_eq!((second.revision, second.remaining), (first.revision, 1));
    let third = store.list("/r/", next("/r/d")).await.unwrap();
    assert_eq!((keys(&third.items), third.more()), (vec!["/r/e"], false));
    let now = store.list("/r/", ListOptions::default()).await.unwrap();
    assert_eq!(keys(&now.items), ["/r/a", "/r/b", "/r/bb", "/r/c", "/r/e"]);
    assert!(now.revision > first.revision);
}

pub(crate) async fn a_long_list_is_whole(store: &dyn Store) {
    const COUNT: usize = 4500;
    let writes = (0..COUNT).map(|i| async move {
        store.create(&format!("/r/{i:05}"), bytes("value"), None).await.unwrap();
    });
    use futures::StreamExt as _;
    futures::stream::iter(writes).buffer_unordered(64).collect::<()>().await;
    let all = store.list("/r/", ListOptions::default()).await.unwrap();
    assert_eq!((all.items.len(), all.remaining), (COUNT, 0));
    let limited = ListOptions { limit: 3000, ..ListOptions::default() };
    let page = store.list("/r/", limited).await.unwrap();
    assert_eq!((page.items.len(), page.remaining), (3000, COUNT - 3000));
}

pub(crate) async fn the_past_is_read_until_it_is_compacted(store: &dyn Store) {
    let first = store.create("/r/a", bytes("one"), None).await.unwrap();
    let second = store.update("/r/a", bytes("two"), first, None).await.unwrap();
    store.delete("/r/a", None).await.unwrap();
    let at = |revision| ListOptions { revision: Some(revision), ..ListOptions::default() };
    assert_eq!(&store.list("/r/", at(first)).await.unwrap().items[0].value[..], b"one");
    store.compact(second).await.unwrap();
    assert_eq!(&store.list("/r/", at(second)).await.unwrap().items[0].value[..], b"two");
    let gone = store.list("/r/", at(first)).await;
    assert!(matches!(gone, Err(Error::Compacted { requested, .. }) if requested == first), "{gone:?}");
    assert!(store.list("/r/", ListOptions::default()).await.unwrap().items.is_empty());
}

pub(crate) async fn the_future_is_refused(store: &dyn Store) {
    let options = ListOptions { revision: Some(1_000_000), ..ListOptions::default() };
    assert_eq!(store.list("/r/", options).await, Err(Error::FutureRevision { requested: 1_000_000 }));
}

pub(crate) async fn a_value_can_be_too_large(store: &dyn Store) {
    let large = Bytes::from(vec![0; 3 << 20]);
    let refused = store.create("/r/a", large, None).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(store.get("/r/a").await.unwrap().kv, None);
}

pub(crate) async fn keys_expire(store: &dyn Store) {
    let ttl = Some(Duration::from_secs(1));
    store.create("/r/short", bytes("x"), ttl).await.unwrap();
    store.create("/r/short2", bytes("x"), ttl).await.unwrap();
    store.create("/r/long", bytes("x"), Some(Duration::from_secs(3600))).await.unwrap();
    let kept = store.create("/r/kept", bytes("x"), ttl).await.unwrap();
    store.update("/r/kept", bytes("y"), kept, None).await.unwrap();
    assert!(store.get("/r/short").await.unwrap().kv.is_some());
    let expired = async {
        while store.list("/r/", ListOptions::default()).await.unwrap().items.len() > 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), expired).await.unwrap();
    let left = store.list("/r/", ListOptions::default()).await.unwrap();
    assert_eq!(keys(&left.items), ["/r/kept", "/r/long"]);
}

pub(crate) async fn concurrent_writers_lose_no_increment(store: &dyn Store) {
    const WRITERS: usize = 8;
    const INCREMENTS: usize = 20;
    store.create("/r/counter", bytes("0"), None).await.unwrap();
    let writer = || async {
        let mut revisions = Vec::new();
        for _ in 0..INCREMENTS {
            let mut current = store.get("/r/counter").await.unwrap().kv.unwrap();
            loop {
                let count: usize = std::str::from_utf8(&current.value).unwrap().parse().unwrap();
                let next = bytes(&(count + 1).to_string());
                match store.update("/r/counter", next, current.mod_revision, None).await {
                    Ok(revision) => break revisions.push(revision),
                    Err(Error::Conflict { current: newer, .. }) => current = *newer,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        revisions
    };
    let revisions = futures::future::join_all((0..WRITERS).map(|_| writer())).await.concat();
    assert_eq!(BTreeSet::from_iter(revisions).len(), WRITERS * INCREMENTS);
    let counter = store.get("/r/counter").await.unwrap().kv.unwrap();
    assert_eq!(&counter.value[..], (WRITERS * INCREMENTS).to_string().as_bytes());
}

pub(crate) async fn the_current_revision_is_never_behind(store: &dyn Store) {
    let writes = (0..50).map(|i| async move {
        let written = store.create(&format!("/r/{i}"), bytes("x"), None).await.unwrap();
        let current = store.current_revision().await.unwrap();
        assert!(current >= written, "{current} < {written}");
    });
    futures::future::join_all(writes).await;
}

fn keys(items: &[gantry_store::KeyValue]) -> Vec<&str> {
    items.iter().map(|kv| kv.key.as_str()).collect()
}
