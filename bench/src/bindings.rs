//! How many pods the scheduler binds, on nodes that have no kubelet.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use gantry_api::Resource;
use gantry_api::core::v1::{Node, Pod};
use gantry_client::{Client, DeleteOptions, ListOptions, PatchType, WatchEvent, WatchStream};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::api;
use crate::cluster::Bench;

const PODS_OF_A_NODE: usize = 110;
/// How many clients create the pods.
const CLIENTS: usize = 64;
/// No binding takes longer. The nodes have no heartbeats, so it ends before they count as dead.
const LIMIT: Duration = Duration::from_secs(30);

fn node(name: &str) -> anyhow::Result<Node> {
    let resources = json!({"cpu": "64", "memory": "256Gi", "pods": PODS_OF_A_NODE.to_string()});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"bench": "hollow"}},
        "status": {"capacity": resources, "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Bench"}]}
    }))?)
}

fn pod(name: &str) -> anyhow::Result<Pod> {
    let mut pod = api::pod(name)?;
    pod.metadata.get_or_insert_default().labels.insert("bench".to_owned(), "bindings".to_owned());
    let spec = pod.spec.get_or_insert_default();
    spec.scheduler_name.clear();
    spec.node_selector.insert("bench".to_owned(), "hollow".to_owned());
    Ok(pod)
}

/// Creates `count` pods while the scheduler is stopped, lets it go on, and prints how fast it binds them.
///
/// # Errors
/// Where a call fails or pods are not bound.
pub async fn rate(client: &Client, bench: &Bench, count: usize) -> anyhow::Result<()> {
    let scheduler = Pid::from_raw(bench.pid("scheduler")?);
    let nodes = client.api::<Node>("");
    let names: Vec<_> = (0..count.div_ceil(PODS_OF_A_NODE)).map(|i| format!("hollow-{i}")).collect();
    for name in &names {
        let node = node(name)?;
        nodes.create(&node).await?;
        // A create does not take a status, and controllers write to new nodes at the same time.
        let status = json!({"status": node.status});
        nodes.patch_status(name, PatchType::Merge, &status).await?;
    }
    kill(scheduler, Signal::SIGSTOP)?;
    let created = create(client, count).await;
    let begin = Instant::now();
    // In any case: a stopped process cannot be ended in order.
    kill(scheduler, Signal::SIGCONT)?;
    let outcome = match created {
        Ok(watch) => measure(watch, count, begin).await,
        Err(error) => Err(error),
    };
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let selection = ListOptions { label_selector: "bench=bindings".to_owned(), ..ListOptions::default() };
    let patient = client.with_deadline(Duration::from_secs(120));
    patient.api::<Pod>("default").delete_collection(&now, &selection).await?;
    for name in &names {
        nodes.delete(name, &DeleteOptions::default()).await?;
    }
    outcome
}

/// Creates the pods. What follows them from then on.
async fn create(client: &Client, count: usize) -> anyhow::Result<WatchStream<Pod>> {
    let creator = client.clone();
    api::rate(CLIENTS, count, move |i| {
        let client = creator.clone();
        async move { Ok(client.api::<Pod>("default").create(&pod(&format!("bind-{i}"))?).await.map(drop)?) }
    })
    .await?;
    let pods = client.api::<Pod>("default");
    let list = pods.list(&ListOptions { limit: 1, ..ListOptions::default() }).await?;
    let options = ListOptions {
        label_selector: "bench=bindings".to_owned(),
        resource_version: list.metadata.resource_version,
        ..ListOptions::default()
    };
    Ok(pods.watch(&options).await?)
}

async fn measure(mut watch: WatchStream<Pod>, count: usize, begin: Instant) -> anyhow::Result<()> {
    let mut bound = BTreeSet::new();
    while bound.len() < count {
        let event = tokio::time::timeout(LIMIT, watch.next()).await;
        let event = event.with_context(|| format!("only {} of {count} pods are bound", bound.len()))?;
        match event.context("the watch ended")?? {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                if pod.spec.as_ref().is_some_and(|spec| !spec.node_name.is_empty()) {
                    bound.insert(pod.name().to_owned());
                }
            }
            WatchEvent::Deleted(pod) => bail!("{} was deleted", pod.name()),
            WatchEvent::Bookmark { .. } => {}
        }
    }
    let took = begin.elapsed();
    println!("{count} pods bound in {took:?}: {:.0} bindings/s", count as f64 / took.as_secs_f64());
    Ok(())
}
