//! Lists of many pods: as gRPC, and as JSON and protobuf over REST.

use std::time::Instant;

use anyhow::{Context, ensure};
use gantry_api::core::v1::Pod;
use gantry_client::{Client, Config, ListOptions};

use crate::api::{pod, rate};

/// How many clients fill the cluster.
const CLIENTS: usize = 64;
/// Each list is made this often.
const ROUNDS: usize = 3;

/// Fills the cluster up to `count` pods.
///
/// # Errors
/// Where a call fails.
pub async fn fill(client: &Client, count: usize) -> anyhow::Result<()> {
    let present = client.api::<Pod>("default").list(&ListOptions::default()).await?.items.len();
    let c = client.clone();
    let filled = rate(CLIENTS, count.saturating_sub(present), move |i| {
        let client = c.clone();
        async move { Ok(client.api::<Pod>("default").create(&pod(&format!("fill-{i}"))?).await.map(drop)?) }
    })
    .await?;
    println!("filled up to {count} pods, {filled:.0} creates/s");
    Ok(())
}

/// Prints how long a list takes over gRPC, decoded.
///
/// # Errors
/// Where a call fails.
pub async fn over_grpc(client: &Client) -> anyhow::Result<()> {
    for round in 1..=ROUNDS {
        let start = Instant::now();
        let list = client.api::<Pod>("default").list(&ListOptions::default()).await?;
        println!("list of {} pods over gRPC, decoded, {round}: {:?}", list.items.len(), start.elapsed());
    }
    Ok(())
}

/// Prints how long a list takes over REST until its last byte is there.
///
/// # Errors
/// Where a call fails.
pub async fn over_rest(config: &Config) -> anyhow::Result<()> {
    // The process has one provider; a second call finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let part = |part: &Option<Vec<u8>>| part.clone().context("the kubeconfig has no certificates");
    let identity = [part(&config.client_certificate)?, b"\n".to_vec(), part(&config.client_key)?].concat();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&part(&config.certificate_authority)?)?])
        .identity(reqwest::Identity::from_pem(&identity)?)
        .build()?;
    let server = config.servers.first().context("the kubeconfig names no server")?.to_string();
    let url = format!("{}/api/v1/namespaces/default/pods", server.trim_end_matches('/'));
    for (name, media_type) in
        [("protobuf", "application/vnd.kubernetes.protobuf"), ("JSON", "application/json")]
    {
        for round in 1..=ROUNDS {
            let start = Instant::now();
            let mut answer = client.get(&url).header("accept", media_type).send().await?;
            ensure!(answer.status().is_success(), "GET {url}: {}", answer.status());
            let mut bytes = 0;
            while let Some(chunk) = answer.chunk().await? {
                bytes += chunk.len();
            }
            let megabytes = bytes as f64 / 1e6;
            println!("list over REST as {name}, {round}: {:?} ({megabytes:.1} MB)", start.elapsed());
        }
    }
    Ok(())
}
