//! Benchmarks of a cluster of their own, printed in one run.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use gantry_bench::cluster::{self, Bench, Place};
use gantry_bench::rest::Rest;
use gantry_bench::{api, apply, bindings, cache, lists, memory, pods, runc, watches};
use gantry_client::Client;

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

    /// Run only these parts
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,

    /// Fill the cluster up to 150,000 pods as well, which takes minutes
    #[arg(long)]
    large: bool,

    /// How many pods are bound to nodes without kubelets
    #[arg(long, default_value_t = 2_000)]
    bindings: usize,
}

/// As the API server's, since its watch cache is measured in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// A part of the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Updates through the watch cache in memory
    Cache,
    /// Starts of pods, beside runc
    Pods,
    /// The scheduler's bindings
    Bindings,
    /// Writes and reads, beside etcd
    Api,
    /// Server-side apply, beside creates
    Apply,
    /// Many watchers
    Watches,
    /// Lists and memory with many pods
    Lists,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// How many pods a large cluster has.
const LARGE: usize = 150_000;

async fn measure(options: &Options, place: &Place) -> anyhow::Result<()> {
    if options.wants(Part::Cache) {
        cache::throughput().await?;
    }
    let bundle = tempfile::tempdir()?;
    runc::unpack(&options.images, "web:v1", bundle.path())?;
    let begin = std::time::Instant::now();
    let bench = Bench::up(place).await?;
    let client = bench.client()?;
    let image = bench.image("web:v1");
    let up = begin.elapsed();
    pods::first(&client, &image).await?;
    println!("kctl up: {up:?}; first pod Running {:?} after its start", begin.elapsed());
    bench.settle().await?;
    memory::print("idle");
    if options.wants(Part::Pods) {
        runc::starts(bundle.path()).await?;
        pods::starts(&client, &image).await?;
        bench.settle().await?;
    }
    if options.wants(Part::Bindings) {
        bindings::rate(&client, &bench, options.bindings).await?;
    }
    if options.wants(Part::Api) {
        api::writes_and_reads(&client, &bench).await?;
    }
    let patient = client.with_deadline(Duration::from_secs(120));
    let rest = Rest::new(&bench.config()?)?;
    if options.wants(Part::Apply) {
        apply::rates(&patient, &rest, &bench).await?;
        bench.settle().await?;
    }
    if options.wants(Part::Watches) {
        watches::of_everything(&patient, &rest, &bench).await?;
        watches::of_nodes(&patient, &rest, &bench).await?;
        bench.settle().await?;
    }
    if options.wants(Part::Lists) {
        lists_and_memory(options, &bench, &patient, &rest).await?;
    }
    Ok(())
}

/// Fills the cluster, and prints what its processes occupy then and how long lists take.
async fn lists_and_memory(
    options: &Options,
    bench: &Bench,
    client: &Client,
    rest: &Rest,
) -> anyhow::Result<()> {
    let server = bench.pid("apiserver")?;
    let (empty, mut present) = (memory::of(server)?, 0);
    let sizes = if options.large { vec![options.pods, LARGE] } else { vec![options.pods] };
    for pods in sizes.into_iter().filter(|pods| *pods > 0) {
        lists::fill(client, present, pods).await?;
        present = present.max(pods);
        bench.settle().await?;
        memory::print(&format!("with {present} pods"));
        let grown = memory::of(server)?.saturating_sub(empty);
        println!("the API server grew by {:.2} KiB per pod", grown as f64 / 1024.0 / present as f64);
        lists::print(rest, present).await?;
        bench.settle().await?;
        memory::print(&format!("with {present} pods, after lists"));
    }
    Ok(())
}
