//! `kctl supervise`: keeps the processes of a local cluster running. `kctl up` starts it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use gantry_telemetry::{init, shutdown};

/// Flags of `kctl supervise`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory with everything that belongs to the cluster
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
}

/// Runs until it is told to end; what it started runs on.
pub fn run(args: Args) -> Result<ExitCode> {
    init("kctl-supervise")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = shutdown();
        gantry_local_cluster::supervise(&args.state_dir, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}
