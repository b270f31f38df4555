//! How many updates a second the watch cache takes in and hands to watchers, over a store in memory: what is left when
//! no disk and no network limits it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::StreamExt;
use gantry_api::Resource;
use gantry_api::core::v1::Pod;
use gantry_api::meta::v1::ListOptions;
use gantry_apiserver::admission::Plugins;
use gantry_apiserver::verbs::{Settings, Target, Verbs, WatchItem};
use gantry_store::{MemoryStore, Store, envelope};
use prost::Message;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::pod;
use crate::cpu;

/// How many objects are updated, in turn.
const OBJECTS: usize = 1_000;
/// How many events are handed out in all with each number of watchers, and how many updates there are at most.
const EVENTS: usize = 2_000_000;
const UPDATES: usize = 200_000;
/// How far the writer may be ahead of the slowest watcher: less than the cache remembers.
const AHEAD: usize = 8_000;
/// How many revisions are kept behind the newest.
const KEPT: i64 = 4 * AHEAD as i64;
/// How often the writer looks for that, and forgets history.
const LOOK: usize = 500;
/// No measurement takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Prints updates per second with one watcher and with more.
///
/// # Errors
/// Where the store or the cache fails.
pub async fn throughput() -> anyhow::Result<()> {
    println!("updates through store and watch cache in memory:");
    for watchers in [1, 10, 100] {
        let measured = tokio::time::timeout(LIMIT, measure(watchers)).await;
        measured.with_context(|| format!("{watchers} watchers take longer than {LIMIT:?}"))??;
    }
    Ok(())
}

fn settings() -> anyhow::Result<Settings> {
    Ok(Settings {
        service_cidr: "10.96.0.0/12".parse()?,
        node_ports: 30000..=32767,
        advertise: ("192.0.2.1".parse()?, 6443),
        etcd_prefix: "/registry".into(),
        event_ttl: Duration::from_secs(3600),
        tolerations: Default::default(),
        plugins: Plugins::new(&[], &[]).map_err(|error| anyhow::anyhow!("{error:?}"))?,
    })
}

async fn measure(count: usize) -> anyhow::Result<()> {
    let store = Arc::new(MemoryStore::new());
    let verbs = Verbs::new(store.clone(), settings()?);
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    tokio::spawn(verbs.clone().run(stop));
    while !verbs.not_ready().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut objects = Vec::with_capacity(OBJECTS);
    for i in 0..OBJECTS {
        let name = format!("pod-{i}");
        let key = format!("/registry/pods/default/{name}");
        let value = envelope::wrap("v1", "Pod", &pod(&name)?.encode_to_vec());
        let revision = store.create(&key, value.clone(), None).await?;
        objects.push((key, value, revision));
    }
    let newest = store.current_revision().await?;
    let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..count).map(|_| AtomicUsize::new(0)).collect());
    let mut watchers = JoinSet::new();
    let updates = UPDATES.min(EVENTS / count);
    for i in 0..count {
        let target = Target { kind: Pod::kind(), namespace: String::new(), name: String::new() };
        let options = ListOptions { resource_version: newest.to_string(), ..ListOptions::default() };
        let stream = verbs.watch(&target, &options).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        watchers.spawn(watch(stream, Arc::clone(&seen), i, updates));
    }
    let own = i32::try_from(std::process::id())?;
    let (begin, before) = (Instant::now(), cpu::of(own)?);
    let watched = async {
        while let Some(ended) = watchers.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    futures::try_join!(write(&store, &mut objects, &seen, updates), watched)?;
    let (took, used) = (begin.elapsed(), cpu::of(own)?.saturating_sub(before));
    println!(
        "  {count:>4} watchers: {:>7.0} updates/s, {:>9.0} events/s, {:.1?} of CPU per update",
        updates as f64 / took.as_secs_f64(),
        (updates * count) as f64 / took.as_secs_f64(),
        used.div_f64(updates as f64),
    );
    Ok(())
}

/// Updates the objects in turn, as fast as the slowest watcher allows.
async fn write(
    store: &MemoryStore,
    objects: &mut [(String, Bytes, i64)],
    seen: &[AtomicUsize],
    updates: usize,
) -> anyhow::Result<()> {
    for done in 0..updates {
        let (key, value, revision) = &mut objects[done % OBJECTS];
        *revision = store.update(key, value.clone(), *revision, None).await?;
        if done % LOOK == 0 {
            // What somebody may still have to read is kept.
            store.compact((*revision - KEPT).max(1)).await?;
            while seen.iter().any(|seen| done.saturating_sub(seen.load(Ordering::Relaxed)) > AHEAD) {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        }
    }
    Ok(())
}

async fn watch(
    mut stream: gantry_apiserver::verbs::WatchStream,
    seen: Arc<Vec<AtomicUsize>>,
    own: usize,
    updates: usize,
) -> anyhow::Result<()> {
    let mut count = 0;
    while count < updates {
        let items = stream.next().await.context("a watch ended")?;
        for item in &items {
            ensure!(!matches!(item, WatchItem::Error(_)), "a watch fell behind");
            count += 1;
        }
        seen[own].store(count, Ordering::Relaxed);
    }
    Ok(())
}
