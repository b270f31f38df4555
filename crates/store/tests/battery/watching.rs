//! Watches.

use std::time::Duration;

use futures::StreamExt as _;
use gantry_store::{Batch, Error, Event, Store, Watch};

use super::contract::bytes;

/// The next batch, with a limit to what a failing test waits.
pub(crate) async fn next(watch: &mut Watch) -> Result<Batch, Error> {
    tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("no batch").expect("watch ended")
}

/// Reads batches until `count` events have come.
pub(crate) async fn events(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let batch = next(watch).await.unwrap();
        let last = batch.events.last().map_or(0, Event::revision);
        assert!(batch.revision >= last, "a batch is behind its own events");
        events.extend(batch.events);
    }
    assert_eq!(events.len(), count);
    events
}

/// Short forms: `+a@5` for a put, `-a@6` for a deletion.
pub(crate) fn short(events: &[Event]) -> Vec<String> {
    let short = |event: &Event| match event {
        Event::Put { kv, .. } => format!("+{}@{}", kv.key, kv.mod_revision),
        Event::Delete { key, mod_revision, .. } => format!("-{key}@{mod_revision}"),
    };
    events.iter().map(short).collect()
}

pub(crate) async fn every_change_is_seen_once_and_in_order(store: &dyn Store) {
    let mut watch = store.watch("/r/", None).await.unwrap();
    let created = store.create("/r/a", bytes("one"), None).await.unwrap();
    store.create("/other/a", bytes("x"), None).await.unwrap();
    let updated = store.update("/r/a", bytes("two"), created, None).await.unwrap();
    let deleted = store.delete("/r/a", None).await.unwrap().revision;
    let seen = events(&mut watch, 3).await;
    let expected = [format!("+/r/a@{created}"), format!("+/r/a@{updated}"), format!("-/r/a@{deleted}")];
    assert_eq!(short(&seen), expected);
    assert_eq!(seen[0].previous(), None);
    assert_eq!(&seen[1].previous().unwrap().value[..], b"one");
    assert_eq!(&seen[2].previous().unwrap().value[..], b"two");
}

pub(crate) async fn a_watch_starts_in_the_past(store: &dyn Store) {
    let first = store.create("/r/a", bytes("one"), None).await.unwrap();
    let second = store.create("/r/b", bytes("two"), None).await.unwrap();
    let mut watch = store.watch("/r/", Some(first)).await.unwrap();
    let third = store.create("/r/c", bytes("three"), None).await.unwrap();
    assert_eq!(short(&events(&mut watch, 2).await), [format!("+/r/b@{second}"), format!("+/r/c@{third}")]);
}

/// Further behind than what is kept in memory: history has to serve it.
pub(crate) async fn a_watch_far_behind_catches_up(store: &dyn Store) {
    let start = store.create("/r/first", bytes("x"), None).await.unwrap();
    const COUNT: usize = 5000;
    let writes = (0..COUNT).map(|i| async move {
        let prefix = if i % 5 == 0 { "/r" } else { "/other" };
        store.create(&format!("{prefix}/{i}"), bytes("x"), None).await.unwrap();
    });
    futures::stream::iter(writes).buffer_unordered(64).collect::<()>().await;
    let mut watch = store.watch("/r/", Some(start)).await.unwrap();
    store.create("/r/last", bytes("x"), None).await.unwrap();
    let seen = events(&mut watch, COUNT / 5 + 1).await;
    assert!(seen.is_sorted_by_key(Event::revision));
    assert_eq!(seen.last().unwrap().key(), "/r/last");
}

pub(crate) async fn a_compacted_start_is_refused(store: &dyn Store) {
    let first = store.create("/r/a", bytes("one"), None).await.unwrap();
    // More than what is kept in memory, so that only history could serve the watch.
    let writes = (0..4200).map(|i| async move {
        store.create(&format!("/x/{i}"), bytes("x"), None).await.unwrap();
    });
    futures::stream::iter(writes).buffer_unordered(64).collect::<()>().await;
    store.compact(store.current_revision().await.unwrap()).await.unwrap();
    let refused = match store.watch("/r/", Some(first)).await {
        Ok(mut watch) => next(&mut watch).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(Error::Compacted { .. })), "{refused:?}");
}

pub(crate) async fn an_idle_prefix_learns_the_revision(store: &dyn Store) {
    let mut watch = store.watch("/r/", None).await.unwrap();
    store.create("/other/a", bytes("x"), None).await.unwrap();
    let current = store.current_revision().await.unwrap();
    watch.progress().request(current);
    let batch = next(&mut watch).await.unwrap();
    assert_eq!(batch.events, []);
    assert!(batch.revision >= current);
    // Asked for ahead of its time: answered when it comes.
    watch.progress().request(current + 1);
    let revision = store.create("/other/b", bytes("x"), None).await.unwrap();
    assert_eq!(next(&mut watch).await.unwrap(), Batch { events: vec![], revision });
}

pub(crate) async fn a_slow_watcher_misses_nothing(store: &dyn Store) {
    const COUNT: usize = 20_000;
    let mut watch = store.watch("/r/", None).await.unwrap();
    let writes = (0..COUNT).map(|i| async move {
        store.create(&format!("/r/{i:05}"), bytes("x"), None).await.unwrap();
    });
    futures::stream::iter(writes).buffer_unordered(64).collect::<()>().await;
    let seen = events(&mut watch, COUNT).await;
    assert!(seen.windows(2).all(|pair| pair[0].revision() < pair[1].revision()));
}

pub(crate) async fn expiry_is_seen_as_a_deletion(store: &dyn Store) {
    let mut watch = store.watch("/r/", None).await.unwrap();
    store.create("/r/a", bytes("x"), Some(Duration::from_secs(1))).await.unwrap();
    let seen = events(&mut watch, 2).await;
    assert!(
        matches!(&seen[1], Event::Delete { key, previous: Some(kv), .. } if key == "/r/a" && kv.version == 1)
    );
}
