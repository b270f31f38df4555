//! `kctl up`: a cluster on this machine.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gantry_local_cluster::{Binaries, Cluster, Network, Spec, Up, merge_kubeconfig};

/// Flags of `kctl up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of nodes [default: as many as the cluster has, else 1]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub nodes: Option<u8>,

    /// Directory with everything that belongs to the cluster
    #[arg(long, default_value = ".cluster", value_name = "DIR")]
    pub state_dir: PathBuf,

    /// Add the cluster to this user's kubeconfig (~/.kube/config) and make it the current one
    #[arg(long)]
    pub merge_kubeconfig: bool,

    /// How long it may take, in seconds
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,

    /// Put the images of this OCI image layout into the cluster's registry
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,

    /// One more flag for a component, as in controller-manager=--node-monitor-grace-period=5s; may be repeated, and
    /// replaces those that the cluster had
    #[arg(long = "component-flag", value_name = "COMPONENT=FLAG", value_parser = component_flag)]
    pub component_flags: Vec<(String, String)>,

    /// Number of the cluster, to run several beside each other
    #[arg(long, default_value_t = 0, hide = true)]
    pub number: u8,
}

/// Starts the cluster.
pub fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(start(args))
}

async fn start(args: Args) -> Result<ExitCode> {
    let begin = Instant::now();
    let cluster = cluster(&args)?;
    let up = Up {
        binaries: Binaries::beside_this_program(),
        kctl: std::env::current_exe().context("the path of this program")?,
        images: args.images.clone(),
        timeout: Duration::from_secs(args.timeout),
    };
    let mut progress = progress();
    cluster.up(&up, &mut progress).await?;
    let kubeconfig = cluster.paths().kubeconfig();
    if args.merge_kubeconfig {
        let target = home_kubeconfig()?;
        merge_kubeconfig(&kubeconfig, &target)?;
        progress(&format!("added to {}", target.display()), Duration::ZERO);
    }
    let nodes = cluster.spec().nodes;
    let plural = if nodes == 1 { "" } else { "s" };
    println!("cluster with {nodes} node{plural} up after {}", seconds(begin.elapsed()));
    println!("kubeconfig: {}", kubeconfig.display());
    Ok(ExitCode::SUCCESS)
}

fn component_flag(text: &str) -> Result<(String, String), String> {
    let known = Spec::COMPONENTS;
    match text.split_once('=') {
        Some((component, flag)) if known.contains(&component) && flag.starts_with("--") => {
            Ok((component.to_owned(), flag.to_owned()))
        }
        _ => Err(format!("must be COMPONENT=--FLAG with one of {}", known.join(", "))),
    }
}

/// The flags of each component.
fn flags(pairs: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let mut flags = BTreeMap::<String, Vec<String>>::new();
    for (component, flag) in pairs {
        flags.entry(component.clone()).or_default().push(flag.clone());
    }
    flags
}

/// The cluster that is there, with as many nodes as asked for, or a new one.
fn cluster(args: &Args) -> Result<Cluster> {
    let Some(known) = Cluster::load(&args.state_dir)? else {
        let network = Network { number: args.number };
        let ports = if args.number == 0 { Default::default() } else { gantry_local_cluster::Ports::free()? };
        let spec = Spec {
            nodes: args.nodes.unwrap_or(1),
            network,
            ports,
            flags: flags(&args.component_flags),
            ..Spec::default()
        };
        return Ok(Cluster::new(&args.state_dir, spec)?);
    };
    let (has, wanted) = (known.spec().nodes, args.nodes.unwrap_or(known.spec().nodes));
    if wanted < has {
        if known.is_running()? {
            bail!("the running cluster has {has} nodes: kctl down first, to have {wanted}");
        }
        eprintln!("note: the cluster had {has} nodes; those above {wanted} will show as NotReady");
    }
    let mut spec = Spec { nodes: wanted, ..known.spec().clone() };
    if !args.component_flags.is_empty() {
        spec.flags = flags(&args.component_flags);
    }
    Ok(Cluster::new(&args.state_dir, spec)?)
}

fn home_kubeconfig() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set: where is the kubeconfig?")?;
    Ok(Path::new(&home).join(".kube/config"))
}

/// Prints each step as it is done.
pub(crate) fn progress() -> impl FnMut(&str, Duration) + Send {
    let color = std::io::stdout().is_terminal();
    move |what, took| {
        let mark = if color { "\x1b[32m✓\x1b[0m" } else { "✓" };
        if took.is_zero() {
            println!("{mark} {what}");
        } else {
            println!("{mark} {what} ({})", seconds(took));
        }
    }
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}
