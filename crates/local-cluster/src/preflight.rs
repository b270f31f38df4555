//! Whether this machine can run the cluster, checked before anything is changed: every problem at once.

use std::net::{Ipv4Addr, TcpListener};

use crate::binaries::{OWN, SYSTEM};
use crate::spec::{MAX_NODES, Spec};
use crate::{Binaries, Error, Result, network};

/// Checks everything; `fresh` when nothing of the cluster runs yet, so that its ports and names must be free.
pub(crate) async fn check(spec: &Spec, binaries: &Binaries, fresh: bool) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        // Nothing else can be told apart from its absence without being root.
        return Err(Error::Preflight(vec!["it needs root: run it with sudo".to_owned()]));
    }
    let mut problems = Vec::new();
    if !(1..=MAX_NODES).contains(&spec.nodes) {
        problems.push(format!("the number of nodes must be 1 to {MAX_NODES}, not {}", spec.nodes));
    }
    programs(binaries, &mut problems);
    if fresh {
        ports(spec, &mut problems);
    }
    if problems.iter().all(|problem| !problem.starts_with("ip ")) {
        for device in network::conflicts(&spec.network).await? {
            problems.push(format!("the interface {device} has an address in {}", spec.network.subnet()));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Preflight(problems)) }
}

fn programs(binaries: &Binaries, problems: &mut Vec<String>) {
    for (program, package) in SYSTEM {
        if binaries.find(program).is_none() {
            problems.push(format!("{program} is not installed: apt-get install {package}"));
        }
    }
    for program in OWN {
        if binaries.find(program).is_none() {
            problems.push(format!("{program} is neither beside kctl nor in PATH: make build"));
        }
    }
}

fn ports(spec: &Spec, problems: &mut Vec<String>) {
    for (what, port) in spec.ports.named() {
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            problems.push(format!("port {port} on 127.0.0.1 is needed by {what}: {error}"));
        }
    }
}
