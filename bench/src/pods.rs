//! How long pods take from their creation to Running, as the API shows it.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use gantry_api::Resource;
use gantry_api::core::v1::Pod;
use gantry_client::{Client, DeleteOptions, ListOptions, WatchEvent};
use serde_json::json;

use crate::sample::Sample;

/// No pod takes longer.
const LIMIT: Duration = Duration::from_secs(60);

fn pod(name: &str, image: &str) -> anyhow::Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"bench": "pods"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": image}]}
    }))?)
}

/// Creates `count` pods at once and waits until all run; the time of each.
async fn start(client: &Client, image: &str, prefix: &str, count: usize) -> anyhow::Result<Sample> {
    let pods = client.api::<Pod>("default");
    let list = pods.list(&ListOptions::default()).await?;
    let options = ListOptions {
        label_selector: "bench=pods".to_owned(),
        resource_version: list.metadata.resource_version,
        ..ListOptions::default()
    };
    let mut watch = pods.watch(&options).await?;
    let begin = Instant::now();
    let creations = (0..count).map(|i| {
        let pods = pods.clone();
        let pod = pod(&format!("{prefix}-{i}"), image);
        async move { anyhow::Ok(pods.create(&pod?).await?) }
    });
    futures::future::try_join_all(creations).await?;
    let mut sample = Sample::default();
    let mut running = std::collections::BTreeSet::new();
    while running.len() < count {
        let event = tokio::time::timeout(LIMIT, watch.next()).await.context("the pods do not run")?;
        match event.context("the watch ended")?? {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                let runs = pod.status.as_ref().is_some_and(|status| status.phase == "Running");
                if runs && pod.name().starts_with(prefix) && running.insert(pod.name().to_owned()) {
                    sample.add(begin.elapsed());
                }
            }
            WatchEvent::Deleted(pod) => bail!("{} was deleted", pod.name()),
            WatchEvent::Bookmark { .. } => {}
        }
    }
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let selection = ListOptions { label_selector: "bench=pods".to_owned(), ..ListOptions::default() };
    pods.delete_collection(&now, &selection).await?;
    let gone = Instant::now();
    while !pods.list(&selection).await?.items.is_empty() {
        if gone.elapsed() > LIMIT {
            bail!("the pods are not gone after {LIMIT:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(sample)
}

/// Starts one pod.
///
/// # Errors
/// Where it does not run.
pub async fn first(client: &Client, image: &str) -> anyhow::Result<()> {
    start(client, image, "first", 1).await.map(drop)
}

/// Prints the times of one pod, ten times, and of thirty at once.
///
/// # Errors
/// Where a pod does not run.
pub async fn starts(client: &Client, image: &str) -> anyhow::Result<()> {
    // The first brings the image.
    start(client, image, "warm", 1).await?;
    let mut single = Sample::default();
    for i in 0..10 {
        single.add(start(client, image, &format!("one{i}"), 1).await?.quantile(1.0));
    }
    println!("one pod, created to Running: p50 {:?}, p99 {:?}", single.quantile(0.5), single.quantile(0.99));
    let many = start(client, image, "many", 30).await?;
    println!(
        "30 pods at once: p50 {:?}, p99 {:?}, last {:?}",
        many.quantile(0.5),
        many.quantile(0.99),
        many.quantile(1.0)
    );
    Ok(())
}
