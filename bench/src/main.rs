//! Benchmarks of a running cluster, printed in one run.

use std::path::PathBuf;

use clap::Parser;
use gantry_bench::{api, memory, pods};
use gantry_client::{Client, Config};

/// Measures a running cluster.
#[derive(Debug, Parser)]
#[command(name = "gantry-bench", version)]
struct Options {
    /// Kubeconfig of the cluster
    #[arg(long, value_name = "FILE", default_value = ".cluster/kubeconfig")]
    kubeconfig: PathBuf,

    /// The cluster's etcd, for the baseline
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:2379")]
    etcd: String,

    /// Image of the pods that are started
    #[arg(long, default_value = "10.243.0.1:5000/web:v1")]
    image: String,

    /// How many pods a list has
    #[arg(long, default_value_t = 20_000)]
    pods: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let client = Client::new(Config::from_kubeconfig(&options.kubeconfig)?.user_agent("gantry-bench"))?;
    memory::print("idle");
    pods::starts(&client, &options.image).await?;
    api::writes_and_reads(&client, &options.etcd).await?;
    let patient = client.with_deadline(std::time::Duration::from_secs(60));
    api::lists(&patient, options.pods).await?;
    memory::print(&format!("with {} pods", options.pods));
    api::clean(&client).await
}
