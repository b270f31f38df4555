//! Writes and reads of the API server, beside etcd's own puts at the same concurrency and size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;
use gantry_api::core::v1::Pod;
use gantry_client::{Client, ListOptions, PatchType};
use prost::Message;
use serde_json::json;

/// How many clients work at once.
pub const CONCURRENCY: [usize; 3] = [1, 16, 64];

/// A pod that no scheduler looks at, so that only the API server works.
fn pod(name: &str) -> anyhow::Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"bench": "api", "app": "bench", "tier": "load"}},
        "spec": {"schedulerName": "none", "containers": [{"name": "main", "image": "example.com/app:1",
            "command": ["sleep", "infinity"], "env": [{"name": "A", "value": "x".repeat(200)}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}}]}
    }))?)
}

/// Runs `calls` calls with `clients` at once; the calls per second.
async fn rate<F, Fut>(clients: usize, calls: usize, call: F) -> anyhow::Result<f64>
where
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send,
{
    let (next, call) = (Arc::new(AtomicUsize::new(0)), Arc::new(call));
    let start = Instant::now();
    let workers: Vec<_> = (0..clients)
        .map(|_| {
            let (next, call) = (Arc::clone(&next), Arc::clone(&call));
            tokio::spawn(async move {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= calls {
                        return anyhow::Ok(());
                    }
                    call(i).await?;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}

/// Creates, gets and status patches with each concurrency, and etcd's puts of values of the same size.
///
/// # Errors
/// Where a call fails.
pub async fn writes_and_reads(client: &Client, etcd: &str) -> anyhow::Result<()> {
    let size = pod("size")?.encoded_len() + 400;
    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>14} {:>14}",
        "clients", "creates/s", "gets/s", "patches/s", "etcd puts/s", "creates/puts"
    );
    for clients in CONCURRENCY {
        let calls = 300 * clients.min(10);
        let prefix = format!("bench-{clients}");
        let (c, p) = (client.clone(), prefix.clone());
        let creates = rate(clients, calls, move |i| {
            let (client, name) = (c.clone(), format!("{p}-{i}"));
            async move { Ok(client.api::<Pod>("default").create(&pod(&name)?).await.map(drop)?) }
        })
        .await?;
        let puts = etcd_puts(etcd, clients, calls, size).await?;
        let (c, p) = (client.clone(), prefix.clone());
        let gets = rate(clients, calls * 4, move |i| {
            let (client, name) = (c.clone(), format!("{p}-{}", i % calls));
            async move { Ok(client.api::<Pod>("default").get(&name).await.map(drop)?) }
        })
        .await?;
        let (c, p) = (client.clone(), prefix);
        let patches = rate(clients, calls, move |i| {
            let (client, name) = (c.clone(), format!("{p}-{i}"));
            let patch = json!({"status": {"conditions": [{"type": "Bench", "status": "True", "reason": format!("R{i}")}]}});
            async move {
                let pods = client.api::<Pod>("default");
                Ok(pods.patch_status(&name, PatchType::StrategicMerge, &patch).await.map(drop)?)
            }
        })
        .await?;
        println!(
            "{clients:>8} {creates:>12.0} {gets:>12.0} {patches:>12.0} {puts:>14.0} {:>14.2}",
            creates / puts
        );
    }
    Ok(())
}

async fn etcd_puts(endpoint: &str, clients: usize, calls: usize, size: usize) -> anyhow::Result<f64> {
    let etcd =
        etcd_client::Client::connect([endpoint], None).await.with_context(|| format!("--etcd {endpoint}"))?;
    let value = vec![b'x'; size];
    let writer = etcd.clone();
    let puts = rate(clients, calls, move |i| {
        let (mut etcd, value) = (writer.kv_client(), value.clone());
        async move { Ok(etcd.put(format!("/bench/{i}"), value, None).await.map(drop)?) }
    })
    .await?;
    etcd.kv_client().delete("/bench/", Some(etcd_client::DeleteOptions::new().with_prefix())).await?;
    Ok(puts)
}

/// Fills the cluster up to `count` pods, lists them, and prints how long a list takes.
///
/// # Errors
/// Where a call fails.
pub async fn lists(client: &Client, count: usize) -> anyhow::Result<()> {
    let present = client.api::<Pod>("default").list(&ListOptions::default()).await?.items.len();
    let c = client.clone();
    rate(64, count.saturating_sub(present), move |i| {
        let client = c.clone();
        async move { Ok(client.api::<Pod>("default").create(&pod(&format!("fill-{i}"))?).await.map(drop)?) }
    })
    .await?;
    for round in ["first", "second"] {
        let start = Instant::now();
        let list = client.api::<Pod>("default").list(&ListOptions::default()).await?;
        println!(
            "list of {} pods over gRPC, decoded by the client, {round}: {:?}",
            list.items.len(),
            start.elapsed()
        );
    }
    Ok(())
}

/// Removes every pod that the benchmarks made.
///
/// # Errors
/// Where the call fails.
pub async fn clean(client: &Client) -> anyhow::Result<()> {
    let selection = ListOptions { label_selector: "bench".to_owned(), ..ListOptions::default() };
    let options = gantry_client::DeleteOptions { grace_period_seconds: Some(0), ..Default::default() };
    let patient = client.with_deadline(std::time::Duration::from_secs(120));
    patient.api::<Pod>("default").delete_collection(&options, &selection).await?;
    Ok(())
}
