//! Server-side apply beside creates of the same minute, the same objects and the same connections.

use std::sync::Arc;

use bytes::Bytes;
use gantry_api::core::v1::Pod;
use gantry_client::{Client, DeleteOptions, ListOptions};
use hyper::Method;
use serde_json::{Value, json};

use crate::api::{CONCURRENCY, pod, rate};
use crate::cluster::Bench;
use crate::cpu;
use crate::rest::{APPLY, Ask, Connection, JSON, Rest};

/// How many connections the clients share at most.
const CONNECTIONS: usize = 16;

fn configuration(name: &str, round: usize) -> anyhow::Result<Bytes> {
    let mut value = serde_json::to_value(pod(name)?)?;
    value["apiVersion"] = json!("v1");
    value["kind"] = json!("Pod");
    value["metadata"]["labels"]["bench"] = json!("apply");
    value["metadata"]["annotations"] = json!({"round": round.to_string()});
    Ok(Value::to_string(&value).into())
}

/// How often a second `calls` pods are written by `ask`, and the server's CPU for each.
async fn measure(
    connections: &[Connection],
    server: i32,
    clients: usize,
    calls: usize,
    ask: impl Fn(usize) -> anyhow::Result<Ask> + Send + Sync + 'static,
) -> anyhow::Result<(f64, std::time::Duration)> {
    let (connections, ask) = (connections.to_vec(), Arc::new(ask));
    let before = cpu::of(server)?;
    let rate = rate(clients, calls, move |i| {
        let (connection, ask) = (connections[i % connections.len()].clone(), Arc::clone(&ask));
        async move { connection.ask(ask(i)?).await.map(drop) }
    })
    .await?;
    Ok((rate, cpu::of(server)?.saturating_sub(before) / u32::try_from(calls)?))
}

/// Prints creates, applies that create, that change nothing and that change something, with each concurrency.
///
/// # Errors
/// Where a call fails.
pub async fn rates(client: &Client, rest: &Rest, bench: &Bench) -> anyhow::Result<()> {
    let server = bench.pid("apiserver")?;
    println!(
        "{:>7} | {:>9} {:>9} {:>9} {:>9} | {:>9} | CPU of the server per create, and apply that creates, changes \
         nothing, changes",
        "clients", "creates/s", "created/s", "same/s", "changed/s", "ratio"
    );
    for clients in CONCURRENCY {
        let calls = 200 * clients.min(10);
        let connections = rest.connections(clients.min(CONNECTIONS)).await?;
        let apply = |round: usize| {
            move |i: usize| {
                let name = format!("apply-{clients}-{i}");
                let path = format!("/api/v1/namespaces/default/pods/{name}?fieldManager=bench");
                Ok(Ask::send(Method::PATCH, path, APPLY, configuration(&name, round)?))
            }
        };
        let create = move |i: usize| {
            let body = configuration(&format!("create-{clients}-{i}"), 0)?;
            Ok(Ask::send(Method::POST, "/api/v1/namespaces/default/pods", JSON, body))
        };
        let (creates, create_cpu) = measure(&connections, server, clients, calls, create).await?;
        let (created, created_cpu) = measure(&connections, server, clients, calls, apply(0)).await?;
        let (same, same_cpu) = measure(&connections, server, clients, calls, apply(0)).await?;
        let (changed, changed_cpu) = measure(&connections, server, clients, calls, apply(1)).await?;
        println!(
            "{clients:>7} | {creates:>9.0} {created:>9.0} {same:>9.0} {changed:>9.0} | {:>9.2} | {create_cpu:.0?}, \
             {created_cpu:.0?}, {same_cpu:.0?}, {changed_cpu:.0?}",
            created / creates
        );
    }
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let selection = ListOptions { label_selector: "bench=apply".to_owned(), ..ListOptions::default() };
    Ok(client.api::<Pod>("default").delete_collection(&now, &selection).await.map(drop)?)
}
