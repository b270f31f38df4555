//! Writes and reads of the API server, beside etcd's own writes at the same concurrency and size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;
use etcd_client::{Compare, CompareOp, DeleteOptions, Txn, TxnOp};
use gantry_api::core::v1::Pod;
use gantry_client::{Client, PatchType};
use prost::Message;
use serde_json::json;

use crate::cluster::Bench;
use crate::cpu;

/// How many clients work at once.
pub const CONCURRENCY: [usize; 3] = [1, 16, 64];

/// A pod that no scheduler looks at, so that only the API server works.
pub(crate) fn pod(name: &str) -> anyhow::Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "labels": {"bench": "api", "app": "bench", "tier": "load"}},
        "spec": {"schedulerName": "none", "containers": [{"name": "main", "image": "example.com/app:1",
            "command": ["sleep", "infinity"], "env": [{"name": "A", "value": "x".repeat(200)}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}}]}
    }))?)
}

/// Runs `calls` calls with `clients` at once; the calls per second.
pub(crate) async fn rate<F, Fut>(clients: usize, calls: usize, call: F) -> anyhow::Result<f64>
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

/// Creates, gets and status patches with each concurrency, and etcd's own writes of values of the same size: plain
/// puts, and transactions that put where the key is missing, which is what a create needs of it.
///
/// # Errors
/// Where a call fails.
pub async fn writes_and_reads(client: &Client, bench: &Bench) -> anyhow::Result<()> {
    let size = pod("size")?.encoded_len() + 400;
    let server = bench.pid("apiserver")?;
    let etcd = bench.etcd();
    let etcd = etcd_client::Client::connect([&etcd], None).await.with_context(|| etcd.clone())?;
    println!(
        "{:>7} | {:>9} {:>9} {:>9} | {:>9} {:>9} {:>9} | CPU of the server per create, get, patch",
        "clients", "creates/s", "gets/s", "patches/s", "puts/s", "guarded/s", "ratio"
    );
    for clients in CONCURRENCY {
        let calls = 300 * clients.min(10);
        let prefix = format!("bench-{clients}");
        let (c, p) = (client.clone(), prefix.clone());
        let before = cpu::of(server)?;
        let creates = rate(clients, calls, move |i| {
            let (client, name) = (c.clone(), format!("{p}-{i}"));
            async move { Ok(client.api::<Pod>("default").create(&pod(&name)?).await.map(drop)?) }
        })
        .await?;
        let create_cpu = (cpu::of(server)? - before) / calls as u32;
        let guarded = etcd_writes(&etcd, clients, calls, size, true).await?;
        let puts = etcd_writes(&etcd, clients, calls, size, false).await?;
        let (c, p) = (client.clone(), prefix.clone());
        let before = cpu::of(server)?;
        let gets = rate(clients, calls * 4, move |i| {
            let (client, name) = (c.clone(), format!("{p}-{}", i % calls));
            async move { Ok(client.api::<Pod>("default").get(&name).await.map(drop)?) }
        })
        .await?;
        let get_cpu = (cpu::of(server)? - before) / (calls as u32 * 4);
        let (c, p) = (client.clone(), prefix);
        let before = cpu::of(server)?;
        let patches = rate(clients, calls, move |i| {
            let (client, name) = (c.clone(), format!("{p}-{i}"));
            let patch = json!({"status": {"conditions": [{"type": "Bench", "status": "True", "reason": format!("R{i}")}]}});
            async move {
                let pods = client.api::<Pod>("default");
                Ok(pods.patch_status(&name, PatchType::StrategicMerge, &patch).await.map(drop)?)
            }
        })
        .await?;
        let patch_cpu = (cpu::of(server)? - before) / calls as u32;
        println!(
            "{clients:>7} | {creates:>9.0} {gets:>9.0} {patches:>9.0} | {puts:>9.0} {guarded:>9.0} {:>9.2} | \
             {create_cpu:?}, {get_cpu:?}, {patch_cpu:?}",
            creates / guarded
        );
    }
    Ok(())
}

/// Writes new keys; the writes per second.
async fn etcd_writes(
    etcd: &etcd_client::Client,
    clients: usize,
    calls: usize,
    size: usize,
    guarded: bool,
) -> anyhow::Result<f64> {
    let value = vec![b'x'; size];
    let writer = etcd.clone();
    let writes = rate(clients, calls, move |i| {
        let (mut etcd, value, key) = (writer.kv_client(), value.clone(), format!("/bench/{i}"));
        async move {
            if guarded {
                let missing = Compare::mod_revision(key.as_str(), CompareOp::Equal, 0);
                let put = TxnOp::put(key, value, None);
                return Ok(etcd.txn(Txn::new().when([missing]).and_then([put])).await.map(drop)?);
            }
            Ok(etcd.put(key, value, None).await.map(drop)?)
        }
    })
    .await?;
    etcd.kv_client().delete("/bench/", Some(DeleteOptions::new().with_prefix())).await?;
    Ok(writes)
}
