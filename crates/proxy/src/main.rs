//! `gantry-proxy`: runs the service proxy on a node.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use gantry_client::{Client, Config};
use gantry_proxy::{Metrics, Options, Proxier, Service, config::ProxyConfiguration, model::Cluster};
use gantry_telemetry::{CommonFlags, config, health::Checks, notify, shutdown};
use ipnet::Ipv4Net;

/// Makes services reachable from this node, with nftables.
#[derive(Debug, Parser)]
#[command(name = "gantry-proxy", version)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,

    /// File that says where the API server is and who the proxy is.
    #[arg(long, value_name = "FILE", required_unless_present = "cleanup")]
    kubeconfig: Option<PathBuf>,

    /// Name of this node; the machine's host name by default.
    #[arg(long, alias = "hostname-override", value_name = "NAME")]
    node_name: Option<String>,

    /// Range of pod addresses; clients outside of it are masqueraded.
    #[arg(long, value_name = "CIDR")]
    cluster_cidr: Option<Ipv4Net>,

    /// Remove all rules and exit. Without this flag rules stay when the proxy ends.
    #[arg(long)]
    cleanup: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    flags.common.init("gantry-proxy")?;
    if flags.cleanup {
        return Ok(Proxier::cleanup().await?);
    }
    let file: ProxyConfiguration = config::load_or_default(flags.common.config.as_deref())?;
    let node = match flags.node_name.or_else(|| file.node_name.clone()) {
        Some(name) => name,
        None => host_name()?,
    };
    let kubeconfig = flags.kubeconfig.context("--kubeconfig is required")?;
    let client = Client::new(Config::from_kubeconfig(&kubeconfig)?.user_agent("gantry-proxy"))?;
    Proxier::prepare()?;

    let registry = prometheus::default_registry();
    let options = Options {
        client,
        node,
        cluster: Cluster { pod_range: flags.cluster_cidr.or(file.cluster_cidr) },
        min_sync_period: file.min_sync_period(),
        sync_period: file.sync_period(),
        metrics: Metrics::register(registry)?,
    };
    let stop = shutdown();
    let checks = Checks::new();
    let service = Service::new(options, &checks);
    flags.common.serve_health("0.0.0.0:10256", checks, stop.clone()).await?;
    notify::ready();
    service.run(stop).await;
    notify::stopping();
    Ok(())
}

/// The machine's name, as nodes are named: in lower case.
fn host_name() -> anyhow::Result<String> {
    let name = nix::unistd::gethostname().context("cannot read the host name; give --node-name")?;
    Ok(name.to_string_lossy().to_lowercase())
}
