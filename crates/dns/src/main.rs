//! The cluster's DNS server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use gantry_client::{Client, Config};
use gantry_dns::follow;
use gantry_dns::forward::{Forwarder, parse_resolv_conf};
use gantry_dns::lookup::Zone;
use gantry_dns::options::Options;
use gantry_dns::publish::{self, Publication};
use gantry_dns::server::{Handler, SharedIndex};
use gantry_telemetry::{health, notify, shutdown};
use hickory_server::Server;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;

/// How long a TCP client may be silent.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
/// How many responses wait for a slow TCP client.
const TCP_RESPONSES: usize = 64;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    options.quieten();
    options.common.init("gantry-dns")?;
    let stop = shutdown();
    let client = Client::new(Config::from_kubeconfig(&options.kubeconfig)?.user_agent("gantry-dns"))?;

    let upstream = if options.upstream.is_empty() && !options.resolv_conf.as_os_str().is_empty() {
        let path = &options.resolv_conf;
        let text =
            std::fs::read_to_string(path).with_context(|| format!("--resolv-conf {}", path.display()))?;
        parse_resolv_conf(&text)
    } else {
        options.upstream.clone()
    };
    let zone = Zone::new(&options.cluster_domain)
        .with_context(|| format!("--cluster-domain {:?} is no DNS name", options.cluster_domain))?;
    let index = SharedIndex::default();
    let handler = Handler::new(zone, Arc::clone(&index), Forwarder::new(&upstream)?)?;

    let (ready, is_ready) = watch::channel(false);
    let checks = health::Checks::new();
    let synced = is_ready.clone();
    checks.readyz(
        "index",
        move || if *synced.borrow() { Ok(()) } else { Err("services are not read yet".into()) },
    );
    options.common.serve_health("127.0.0.1:8181", checks, stop.clone()).await?;

    let mut server = Server::new(handler);
    for address in &options.bind_address {
        let context = || format!("--bind-address {address}");
        server.register_socket(UdpSocket::bind(address).await.with_context(context)?);
        server.register_listener(
            TcpListener::bind(address).await.with_context(context)?,
            TCP_TIMEOUT,
            TCP_RESPONSES,
        );
    }
    tokio::spawn(follow::run(client.clone(), index, ready, stop.clone()));
    if let (Some(address), Some(bound)) = (options.advertise_address, options.bind_address.first()) {
        let publication = Publication { cluster_ip: options.cluster_ip, address, port: bound.port() };
        tokio::spawn(publish::run(client, publication, stop.clone()));
    }
    notify::ready();
    stop.cancelled().await;
    notify::stopping();
    tokio::time::timeout(TCP_TIMEOUT, server.shutdown_gracefully())
        .await
        .context("open requests were cut off")??;
    Ok(())
}
