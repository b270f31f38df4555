//! `kctl version`

use std::process::ExitCode;

use clap::Args as ClapArgs;

use crate::session::Target;

/// Shows the versions of kctl and of the server.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    target: Target,

    /// Only that of kctl, without asking the server
    #[arg(long)]
    client: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    println!("Client Version: v{}", env!("CARGO_PKG_VERSION"));
    if args.client {
        return Ok(ExitCode::SUCCESS);
    }
    args.target.run(|session| async move {
        println!("Server Version: {}", session.client.discover().await?.git_version);
        Ok(ExitCode::SUCCESS)
    })
}
