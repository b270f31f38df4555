//! `kctl credentials`: certificates and kubeconfigs for a cluster that something else starts, such as containers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use gantry_local_cluster::{Identities, Servers, write_credentials};

/// Flags of `kctl credentials`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write into; what is good there is kept
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,

    /// Name of the cluster in the kubeconfigs
    #[arg(long, default_value = "gantry")]
    pub cluster: String,

    /// Where the components find the API server
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:6443")]
    pub server: String,

    /// Where the administrator finds it
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:6443")]
    pub admin_server: String,

    /// A name or address of the API server, beside those that every cluster has; may be given several times
    #[arg(long = "server-name", value_name = "NAME")]
    pub server_names: Vec<String>,

    /// A node and its address; may be given several times
    #[arg(long = "node", value_name = "NAME=ADDRESS")]
    pub nodes: Vec<String>,
}

/// Writes what is missing.
pub fn run(args: Args) -> Result<ExitCode> {
    let node = |pair: &String| {
        let (name, address) =
            pair.split_once('=').with_context(|| format!("--node {pair:?} must be NAME=ADDRESS"))?;
        anyhow::Ok((name.to_owned(), vec![address.to_owned()]))
    };
    let nodes = args.nodes.iter().map(node).collect::<Result<Vec<_>>>()?;
    let identities = Identities { servers: args.server_names, nodes };
    let servers = Servers {
        cluster: args.cluster,
        admin: args.admin_server,
        control_plane: args.server.clone(),
        nodes: args.server,
    };
    write_credentials(&args.dir, &servers, &identities)?;
    println!("certificates and kubeconfigs are in {}", args.dir.display());
    Ok(ExitCode::SUCCESS)
}
