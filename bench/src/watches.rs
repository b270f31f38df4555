//! What watches cost: many watchers of everything, and many more that each see little.

use std::time::{Duration, Instant};

use anyhow::Context;
use gantry_api::core::v1::Pod;
use gantry_client::{Client, DeleteOptions, ListOptions};

use crate::api::{self, rate};
use crate::cluster::Bench;
use crate::events::Format;
use crate::rest::Rest;
use crate::watchers::{Watchers, Writer};
use crate::{cpu, memory};

/// How many watchers see every event, and over how many connections.
const WATCHERS: (usize, usize) = (1_000, 100);
/// How many writes they see as fast as they can be made, and how many at a steady rate.
const BURST: usize = 100;
const STEADY: (u32, usize) = (10, 40);
/// How many watchers see the pods of one node each, and over how many connections.
const NODES: (usize, usize) = (10_000, 20);
/// How many nodes have a pod.
const PODS: usize = 500;
/// How many writes a second there are for them, and how many in all.
const UPDATES: (u32, usize) = (200, 1_000);
/// No event takes longer.
const LIMIT: Duration = Duration::from_secs(60);
/// How many clients create pods.
const CLIENTS: usize = 64;

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/default/pods/{name}")
}

/// Creates pods, `node` of each says where it is, and returns their paths.
async fn create(
    client: &Client,
    prefix: &'static str,
    count: usize,
    node: fn(usize) -> String,
) -> anyhow::Result<Vec<String>> {
    let creator = client.clone();
    rate(CLIENTS, count, move |i| {
        let client = creator.clone();
        async move {
            let mut pod = api::pod(&format!("{prefix}-{i}"))?;
            pod.metadata.get_or_insert_default().labels.insert("bench".to_owned(), prefix.to_owned());
            pod.spec.get_or_insert_default().node_name = node(i);
            Ok(client.api::<Pod>("default").create(&pod).await.map(drop)?)
        }
    })
    .await?;
    Ok((0..count).map(|i| path(&format!("{prefix}-{i}"))).collect())
}

async fn remove(client: &Client, prefix: &str) -> anyhow::Result<()> {
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let selection = ListOptions { label_selector: format!("bench={prefix}"), ..ListOptions::default() };
    Ok(client.api::<Pod>("default").delete_collection(&now, &selection).await.map(drop)?)
}

async fn revision(client: &Client) -> anyhow::Result<String> {
    let options = ListOptions { limit: 1, ..ListOptions::default() };
    Ok(client.api::<Pod>("default").list(&options).await?.metadata.resource_version)
}

/// Prints how fast and how late many watchers of all pods get what one writer writes, and what that costs.
///
/// # Errors
/// Where a call fails, a watch ends or events do not come.
pub async fn of_everything(client: &Client, rest: &Rest, bench: &Bench) -> anyhow::Result<()> {
    let server = bench.pid("apiserver")?;
    let paths = create(client, "fan", 10, |_| String::new()).await?;
    // What the writes themselves cost.
    let writer = Writer::new(rest, None).await?;
    let before = cpu::of(server)?;
    for path in paths.iter().cycle().take(BURST) {
        writer.mark(path).await?;
    }
    let writes = cpu::of(server)? - before;
    for (name, format) in [("protobuf", Format::Protobuf), ("JSON", Format::Json)] {
        let watch = format!("/api/v1/pods?watch=true&resourceVersion={}", revision(client).await?);
        let (count, connections) = WATCHERS;
        let watchers = Watchers::open(rest, connections, vec![watch; count], format).await?;
        let board = watchers.board();
        let writer = Writer::new(rest, Some(board)).await?;
        let (begin, before) = (Instant::now(), cpu::of(server)?);
        for path in paths.iter().cycle().take(BURST) {
            writer.mark(path).await?;
        }
        board.wait_for(BURST * count, LIMIT).await.with_context(|| format!("watches as {name}"))?;
        let (took, used) = (begin.elapsed(), cpu::of(server)?.saturating_sub(before).saturating_sub(writes));
        let events = (BURST * count) as f64;
        // The burst is about throughput: what waits behind it would be called a delay.
        drop(board.delays());
        let acknowledged = writer.at_rate(&paths, STEADY.0, STEADY.1).await?;
        board
            .wait_for((BURST + STEADY.1) * count, LIMIT)
            .await
            .with_context(|| format!("watches as {name}"))?;
        let delays = board.delays();
        println!(
            "{count} watchers and one writer, {name}: {:.0} events/s in a burst, {:.2?} of the server's CPU per event; \
             at {} writes/s from send to arrival p50 {:.1?}, p99 {:.1?} (the write alone p50 {:.1?})",
            events / took.as_secs_f64(),
            used.div_f64(events),
            STEADY.0,
            delays.quantile(0.5),
            delays.quantile(0.99),
            acknowledged.quantile(0.5),
        );
    }
    remove(client, "fan").await
}

/// Prints how late watchers get what happens on the one node that each of them is about, and what they occupy.
///
/// # Errors
/// Where a call fails, a watch ends or events do not come.
pub async fn of_nodes(client: &Client, rest: &Rest, bench: &Bench) -> anyhow::Result<()> {
    let server = bench.pid("apiserver")?;
    let paths = create(client, "spread", PODS, |i| format!("absent-{}", i * (NODES.0 / PODS))).await?;
    bench.settle().await?;
    let (count, connections) = NODES;
    let resident = memory::of(server)?;
    let revision = revision(client).await?;
    let watch = |i| {
        format!("/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dabsent-{i}&resourceVersion={revision}")
    };
    let begin = Instant::now();
    let watchers =
        Watchers::open(rest, connections, (0..count).map(watch).collect(), Format::Protobuf).await?;
    let opened = begin.elapsed();
    let board = watchers.board();
    let writer = Writer::new(rest, Some(board)).await?;
    let grown = memory::of(server)?.saturating_sub(resident);
    let before = cpu::of(server)?;
    let acknowledged = writer.at_rate(&paths, UPDATES.0, UPDATES.1).await?;
    board.wait_for(UPDATES.1, LIMIT).await.context("watches of nodes")?;
    let used = cpu::of(server)?.saturating_sub(before);
    let delays = board.delays();
    println!(
        "{count} watchers, each of one node's pods, begun in {opened:.1?}: {:.1} KiB of the server each ({:.0} MiB in \
         all); at {} writes/s from send to arrival p50 {:.1?}, p99 {:.1?} (the write alone p50 {:.1?}, p99 {:.1?}), \
         {:.0?} of the server's CPU per write",
        grown as f64 / 1024.0 / count as f64,
        memory::of(server)? as f64 / f64::from(1 << 20),
        UPDATES.0,
        delays.quantile(0.5),
        delays.quantile(0.99),
        acknowledged.quantile(0.5),
        acknowledged.quantile(0.99),
        used / u32::try_from(UPDATES.1)?,
    );
    drop(watchers);
    remove(client, "spread").await
}
