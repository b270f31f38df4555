//! `kctl up`: a cluster on this machine.

use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `kctl up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of nodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub nodes: u8,

    /// Directory with everything that belongs to the cluster
    #[arg(long, default_value = ".cluster", value_name = "DIR")]
    pub state_dir: PathBuf,
}

/// Starts the cluster.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("no cluster in {} can be started by this build yet", args.state_dir.display())
}
