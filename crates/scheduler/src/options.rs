//! The command line.

use std::path::PathBuf;

use clap::Parser;
use gantry_telemetry::CommonFlags;

/// Assigns pods to nodes.
#[derive(Debug, Parser)]
#[command(name = "gantry-scheduler", version)]
pub struct Options {
    /// Logging, health port.
    #[command(flatten)]
    pub common: CommonFlags,

    /// Kubeconfig that names the API server and this component's identity.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,

    /// Name by which pods ask for this scheduler.
    #[arg(long, default_value = "default-scheduler")]
    pub scheduler_name: String,

    /// Whether several schedulers agree on one by a Lease.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
}
