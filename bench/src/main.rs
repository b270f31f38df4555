//! Benchmarks of a cluster of their own, printed in one run.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use gantry_bench::cluster::{self, Bench, Place};
use gantry_bench::{api, bindings, lists, memory, pods, runc};

/// Measures a cluster that it brings up itself, as root.
#[derive(Debug, Parser)]
#[command(name = "gantry-bench", version)]
struct Options {
    /// OCI image layout with the image web:v1
    #[arg(long, value_name = "DIR", default_value = "target/images")]
    images: PathBuf,

    /// Directory for the cluster's state, removed afterwards
    #[arg(long, value_name = "DIR", default_value = "target/bench-cluster")]
    state_dir: PathBuf,

    /// How many pods a list has
    #[arg(long, default_value_t = 20_000)]
    pods: usize,

    /// How many pods are bound to nodes without kubelets
    #[arg(long, default_value_t = 2_000)]
    bindings: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let place = Place {
        programs: cluster::programs()?,
        images: options.images.clone(),
        state: options.state_dir.clone(),
    };
    let outcome = measure(&options, &place).await;
    // Also where something failed: nothing may stay. What failed first is what is told.
    let ended = cluster::down(&place).await;
    outcome.and(ended)
}

async fn measure(options: &Options, place: &Place) -> anyhow::Result<()> {
    let bundle = tempfile::tempdir()?;
    runc::unpack(&options.images, "web:v1", bundle.path())?;
    let begin = std::time::Instant::now();
    let bench = Bench::up(place).await?;
    let client = bench.client()?;
    let image = bench.image("web:v1");
    let up = begin.elapsed();
    pods::first(&client, &image).await?;
    println!("kctl up: {up:?}; first pod Running {:?} after its start", begin.elapsed());
    pods::settle().await;
    memory::print("idle");
    runc::starts(bundle.path()).await?;
    pods::starts(&client, &image).await?;
    pods::settle().await;
    bindings::rate(&client, &bench, options.bindings).await?;
    api::writes_and_reads(&client, &bench).await?;
    let patient = client.with_deadline(Duration::from_secs(120));
    lists::fill(&patient, options.pods).await?;
    lists::over_grpc(&patient).await?;
    lists::over_rest(&bench.config()?).await?;
    pods::settle().await;
    memory::print(&format!("with {} pods", options.pods));
    Ok(())
}
