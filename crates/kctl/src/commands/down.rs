//! `kctl down`: ends the cluster on this machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use gantry_local_cluster::{Cluster, Down};

use super::up::{progress, seconds};

/// Flags of `kctl down`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory with everything that belongs to the cluster
    #[arg(long, default_value = ".cluster", value_name = "DIR")]
    pub state_dir: PathBuf,

    /// Remove the cluster's data, too
    #[arg(long)]
    pub purge: bool,
}

/// Ends the cluster. That there is none is a success: what was asked for is so.
pub fn run(args: Args) -> Result<ExitCode> {
    let Some(cluster) = Cluster::load(&args.state_dir)? else {
        println!("no cluster in {}", args.state_dir.display());
        return Ok(ExitCode::SUCCESS);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begin = Instant::now();
    runtime.block_on(cluster.down(Down { purge: args.purge }, &mut progress()))?;
    let kept = if args.purge { "nothing is left" } else { "its data is kept (--purge removes it)" };
    println!("cluster down after {}; {kept}", seconds(begin.elapsed()));
    Ok(ExitCode::SUCCESS)
}
