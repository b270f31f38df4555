//! The subcommands, one module each.

pub mod credentials;
pub mod down;
pub mod supervise;
pub mod up;

use std::process::ExitCode;

use clap::Subcommand;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a cluster on this machine, or take up the one that is there
    Up(up::Args),
    /// Stop the cluster on this machine and remove every trace of it
    Down(down::Args),
    /// Make certificates and kubeconfigs for a cluster that something else starts
    Credentials(credentials::Args),
    /// Keep the processes of a local cluster running
    #[command(hide = true)]
    Supervise(supervise::Args),
}

impl Command {
    /// Runs the command; the code is what the process ends with.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(args) => up::run(args),
            Self::Down(args) => down::run(args),
            Self::Credentials(args) => credentials::run(args),
            Self::Supervise(args) => supervise::run(args),
        }
    }
}
