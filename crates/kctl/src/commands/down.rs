//! `kctl down`: ends the cluster on this machine.

use std::path::PathBuf;
use std::process::ExitCode;

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

/// Ends the cluster.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("no cluster in {} can be ended by this build yet", args.state_dir.display())
}
