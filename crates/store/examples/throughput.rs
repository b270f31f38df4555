//! How fast a running etcd is through the store, beside what its bare client does: writes per second.
//!
//! ```sh
//! cargo run --release -p gantry-store --example throughput -- http://127.0.0.1:2379 64
//! ```

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use gantry_store::{EtcdConfig, EtcdStore, Store};

/// About what a small pod takes.
const VALUE_BYTES: usize = 1700;
const SECONDS: u64 = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:2379".to_owned());
    let writers: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let value = Bytes::from(vec![b'x'; VALUE_BYTES]);
    let run = std::process::id();

    let raw = etcd_client::Client::connect([&url], None).await?;
    measure("bare client, put", writers, |n| {
        let (mut client, value) = (raw.clone(), value.clone());
        async move { client.put(format!("/bench/{run}/put/{n}"), value, None).await.map(drop).map_err(Into::into) }
    })
    .await?;
    measure("bare client, guarded transaction", writers, |n| {
        let (mut client, value) = (raw.clone(), value.clone());
        async move {
            let key = format!("/bench/{run}/txn/{n}");
            let guard = Compare::mod_revision(key.as_str(), CompareOp::Equal, 0);
            let txn = Txn::new().when([guard]).and_then([TxnOp::put(key, value, None)]);
            client.txn(txn).await.map(drop).map_err(Into::into)
        }
    })
    .await?;

    for connections in [1, 2, 4] {
        let config = EtcdConfig { connections, ..EtcdConfig::new([&url]) };
        let store = Arc::new(EtcdStore::connect(config).await?);
        measure(&format!("store, create, {connections} connections"), writers, |n| {
            let (store, value) = (store.clone(), value.clone());
            async move {
                let key = format!("/bench/{run}/create/{connections}/{n}");
                store.create(&key, value, None).await.map(drop).map_err(Into::into)
            }
        })
        .await?;
    }
    let store = Arc::new(EtcdStore::connect(EtcdConfig::new([&url])).await?);
    measure("store, get", writers, |n| {
        let store = store.clone();
        async move { store.get(&format!("/bench/{run}/put/{}", n % 1000)).await.map(drop).map_err(Into::into) }
    })
    .await?;
    measure("store, current revision", writers, |_| {
        let store = store.clone();
        async move { store.current_revision().await.map(drop).map_err(Into::into) }
    })
    .await
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs `call` with that many callers at once for a while, and prints the rate.
async fn measure<F, Fut>(what: &str, callers: usize, call: F) -> Result<(), Box<dyn std::error::Error>>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let end = started + Duration::from_secs(SECONDS);
    let caller = async || {
        while Instant::now() < end {
            call(next.fetch_add(1, Ordering::Relaxed)).await?;
        }
        Ok::<_, Failure>(())
    };
    futures::future::try_join_all((0..callers).map(|_| caller())).await.map_err(|error| error.to_string())?;
    let done = next.load(Ordering::Relaxed);
    println!("{what:<40} {:>8.0}/s", done as f64 / started.elapsed().as_secs_f64());
    Ok(())
}
