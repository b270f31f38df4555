//! The command line of Gantry.
//!
//! Each subcommand is a module of [`commands`]; this file parses the command line, runs the command and turns its
//! error into a line on stderr and an exit code: 0 done, 1 failed, 2 the command line is wrong.

pub mod catalog;
pub mod commands;
pub mod manifest;
pub mod names;
pub mod output;
pub mod path;
pub mod rollout;
pub mod session;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

/// Work with a Gantry or Kubernetes cluster, or start one on this machine.
#[derive(Debug, Parser)]
#[command(name = "kctl", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: commands::Command,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
