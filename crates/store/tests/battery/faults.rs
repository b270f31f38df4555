//! What only a real etcd can be put through: crashes, standstill, lost connections.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use gantry_store::{Error, EtcdConfig, EtcdStore, Event, Found, ListOptions, Store};

use super::{
    contract::bytes,
    etcd_process::Etcd,
    watching::{events, next, short},
};

async fn connect(etcd: &Etcd, timeout: Duration) -> EtcdStore {
    let config = EtcdConfig { request_timeout: timeout, ..EtcdConfig::new([etcd.url()]) };
    EtcdStore::connect(config).await.unwrap()
}

/// Writes until it succeeds: right after a start etcd has no leader yet, and after a kill the outcome of a write
/// may have to be looked up.
async fn create_when_possible(store: &dyn Store, key: &str) -> i64 {
    let attempts = async {
        loop {
            match store.create(key, bytes("x"), None).await {
                Ok(revision) => return revision,
                Err(Error::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(Error::OutcomeUnknown { .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if let Ok(Found { kv: Some(kv), .. }) = store.get(key).await {
                        return kv.mod_revision;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), attempts).await.expect("etcd did not come back")
}

#[tokio::test]
async fn a_store_recovers_when_etcd_restarts() {
    let mut etcd = Etcd::start().await;
    let store = connect(&etcd, Duration::from_secs(5)).await;
    create_when_possible(&store, "/r/before").await;
    etcd.kill();
    // Each connection may be found broken once, which leaves a write's outcome open. After that it is certain
    // that nothing is sent.
    let mut refused = store.create("/r/down", bytes("x"), None).await;
    for _ in 0..4 {
        assert!(
            matches!(refused, Err(Error::Unavailable { .. } | Error::OutcomeUnknown { .. })),
            "{refused:?}"
        );
        refused = store.create("/r/down", bytes("x"), None).await;
    }
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert!(matches!(store.get("/r/before").await, Err(Error::Unavailable { .. })));
    etcd.launch().await;
    create_when_possible(&store, "/r/after").await;
    let all = store.list("/r/", ListOptions::default()).await.unwrap();
    assert_eq!(all.items.iter().map(|kv| kv.key.as_str()).collect::<Vec<_>>(), ["/r/after", "/r/before"]);
}

#[tokio::test]
async fn a_store_may_start_before_etcd() {
    let mut etcd = Etcd::start().await;
    // An etcd killed before its first election never holds one.
    let first = create_when_possible(&connect(&etcd, Duration::from_secs(5)).await, "/r/first").await;
    etcd.kill();
    let store = connect(&etcd, Duration::from_secs(5)).await;
    assert!(matches!(store.current_revision().await, Err(Error::Unavailable { .. })));
    etcd.launch().await;
    create_when_possible(&store, "/r/a").await;
    let mut watch = store.watch("/r/", Some(first)).await.unwrap();
    assert_eq!(events(&mut watch, 1).await[0].key(), "/r/a");
}

#[tokio::test]
async fn a_watch_resumes_without_loss_or_duplicates() {
    let mut etcd = Etcd::start().await;
    let store = connect(&etcd, Duration::from_secs(5)).await;
    create_when_possible(&store, "/r/start").await;
    let mut watch = store.watch("/r/", None).await.unwrap();
    let mut expected = Vec::new();
    for round in 0..3 {
        for i in 0..20 {
            let key = format!("/r/{round}-{i}");
            let revision = create_when_possible(&store, &key).await;
            expected.push(format!("+{key}@{revision}"));
        }
        etcd.kill();
        etcd.launch().await;
    }
    // Somebody else's writes arrive too.
    let other = connect(&etcd, Duration::from_secs(5)).await;
    let revision = create_when_possible(&other, "/r/other").await;
    expected.push(format!("+/r/other@{revision}"));
    assert_eq!(short(&events(&mut watch, expected.len()).await), expected);
}

#[tokio::test]
async fn compaction_during_an_outage_ends_the_watch() {
    // Seen to wait for nothing once; what the feed and its connections did then must be told.
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_test_writer().finish();
    let _log = tracing::subscriber::set_default(log);
    let mut etcd = Etcd::start().await;
    let store = connect(&etcd, Duration::from_secs(5)).await;
    create_when_possible(&store, "/r/a").await;
    let mut watch = store.watch("/r/", None).await.unwrap();
    // The watching store is cut off by being frozen out: etcd goes away, and comes back compacted.
    etcd.kill();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let elsewhere = restarted_elsewhere(&mut etcd).await;
    let refused = next(&mut watch).await;
    assert!(matches!(refused, Err(Error::Compacted { .. })), "{refused:?}");
    // A new watch begins at the present.
    let mut watch = store.watch("/r/", None).await.unwrap();
    create_when_possible(&elsewhere, "/r/new").await;
    assert_eq!(events(&mut watch, 1).await[0].key(), "/r/new");
}

/// Brings etcd up, on other ports, for a second store that writes and compacts, and then back where it was.
async fn restarted_elsewhere(etcd: &mut Etcd) -> EtcdStore {
    let aside = etcd.move_aside().await;
    let other = connect(etcd, Duration::from_secs(5)).await;
    for i in 0..5 {
        create_when_possible(&other, &format!("/r/unseen-{i}")).await;
    }
    other.compact(other.current_revision().await.unwrap()).await.unwrap();
    etcd.move_back(aside).await;
    connect(etcd, Duration::from_secs(5)).await
}

#[tokio::test]
async fn a_standstill_ends_every_call_in_time() {
    let etcd = Etcd::start().await;
    let store = connect(&etcd, Duration::from_secs(1)).await;
    let revision = create_when_possible(&store, "/r/a").await;
    etcd.freeze().await;
    let started = Instant::now();
    let written = store.update("/r/a", bytes("y"), revision, None).await;
    assert!(matches!(written, Err(Error::OutcomeUnknown { ref key, .. }) if key == "/r/a"), "{written:?}");
    assert!(matches!(store.get("/r/a").await, Err(Error::Timeout { .. })));
    assert!(matches!(store.current_revision().await, Err(Error::Timeout { .. })));
    // Far above the three deadlines, and far below what it would be without.
    assert!(started.elapsed() < Duration::from_secs(30));
    etcd.thaw();
    // The write was not carried out by anybody a second time: it happened once or not at all.
    let settled = async {
        loop {
            if let Ok(found) = store.get("/r/a").await {
                return found.kv.unwrap();
            }
        }
    };
    let kv = tokio::time::timeout(Duration::from_secs(30), settled).await.unwrap();
    assert!(kv.version <= 2, "{kv:?}");
}

#[tokio::test]
async fn acknowledged_writes_survive_kills() {
    let mut etcd = Etcd::start().await;
    let store = std::sync::Arc::new(connect(&etcd, Duration::from_secs(2)).await);
    create_when_possible(&*store, "/r/start").await;
    let mut watch = store.watch("/r/", None).await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            let mut acknowledged = Vec::new();
            for i in 0..400 {
                let key = format!("/r/{i:04}");
                if let Ok(revision) = store.create(&key, bytes("x"), None).await {
                    acknowledged.push(format!("+{key}@{revision}"));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            acknowledged
        }
    });
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        etcd.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        etcd.launch().await;
    }
    let acknowledged = writer.await.unwrap();
    let last = create_when_possible(&*store, "/r/last").await;
    let mut seen: Vec<Event> = Vec::new();
    while seen.last().is_none_or(|event| event.revision() < last) {
        seen.extend(next(&mut watch).await.unwrap().events);
    }
    assert!(seen.windows(2).all(|pair| pair[0].revision() < pair[1].revision()), "not in order");
    let seen = short(&seen);
    let missing: Vec<_> = acknowledged.iter().filter(|write| !seen.contains(write)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!acknowledged.is_empty());
}

#[tokio::test]
async fn a_dead_endpoint_does_not_matter() {
    let etcd = Etcd::start().await;
    let mut dead = Etcd::start().await;
    dead.kill();
    let store = EtcdStore::connect(EtcdConfig::new([dead.url(), etcd.url()])).await.unwrap();
    create_when_possible(&store, "/r/start").await;
    let writes = (0..20).map(|i| {
        let store = &store;
        async move { store.create(&format!("/r/{i}"), bytes("x"), None).await.unwrap() }
    });
    let written = futures::stream::iter(writes).buffer_unordered(4).count().await;
    assert_eq!(written, 20);
    let mut watch = store.watch("/r/", Some(1)).await.unwrap();
    assert_eq!(events(&mut watch, 21).await.len(), 21);
}

#[tokio::test]
async fn a_configuration_without_sense_is_refused() {
    for endpoints in [vec![], vec!["nonsense"], vec!["https://127.0.0.1:1"], vec!["ftp://127.0.0.1"]] {
        let refused = EtcdStore::connect(EtcdConfig::new(endpoints.clone())).await;
        assert!(matches!(refused, Err(Error::Internal { .. })), "{endpoints:?}");
    }
}
