//! The subcommands, one module each.

pub mod api_resources;
pub mod apply;
pub mod create;
pub mod credentials;
pub mod delete;
pub mod describe;
pub mod down;
pub mod exec;
pub mod get;
pub mod logs;
mod pods;
pub mod rollout;
pub mod scale;
pub mod supervise;
pub mod up;
pub mod version;
pub mod wait;
pub mod why;

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
    /// Make objects be as files say
    Apply(apply::Args),
    /// Show objects
    Get(get::Args),
    /// Show everything about objects, and what happened to them
    Describe(describe::Args),
    /// Say why a pod is not running, node by node
    Why(why::Args),
    /// Create objects
    Create(create::Args),
    /// Delete objects
    Delete(delete::Args),
    /// Show a container's output
    Logs(logs::Args),
    /// Run a command in a container
    Exec(exec::Args),
    /// Wait until objects are as wanted
    Wait(wait::Args),
    /// Set how many pods something runs
    Scale(scale::Args),
    /// Follow and steer the rollout of a Deployment
    Rollout(rollout::Args),
    /// List the types of objects that the server has
    ApiResources(api_resources::Args),
    /// Show the versions of kctl and of the server
    Version(version::Args),
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
            Self::Apply(args) => apply::run(args),
            Self::Get(args) => get::run(args),
            Self::Describe(args) => describe::run(args),
            Self::Why(args) => why::run(args),
            Self::Create(args) => create::run(args),
            Self::Delete(args) => delete::run(args),
            Self::Logs(args) => logs::run(args),
            Self::Exec(args) => exec::run(args),
            Self::Wait(args) => wait::run(args),
            Self::Scale(args) => scale::run(args),
            Self::Rollout(args) => rollout::run(args),
            Self::ApiResources(args) => api_resources::run(args),
            Self::Version(args) => version::run(args),
            Self::Supervise(args) => supervise::run(args),
        }
    }
}
