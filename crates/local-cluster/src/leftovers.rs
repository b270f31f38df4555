//! Finding and ending everything that belongs to a cluster, whoever started it and whoever died before.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::plan::MARK;
use crate::process::{Identity, parse_stat};
use crate::spec::Spec;
use crate::{Error, Paths, Result, network, nodes};

const CGROUPS: &str = "/sys/fs/cgroup";
const POLL: Duration = Duration::from_millis(10);

/// Every process of the cluster.
///
/// Three marks, each of which is enough: the cluster's directory in the environment (components, containerd, shims
/// and log drivers), a cgroup of the cluster (containers), and descent from one of those.
pub(crate) fn processes(paths: &Paths, spec: &Spec) -> Vec<Identity> {
    let mark = [MARK.as_bytes(), b"=", paths.root().as_os_str().as_encoded_bytes()].concat();
    let cgroup = format!("/{}/", spec.network.cgroup());
    let own = std::process::id().cast_signed();
    let all: Vec<(Identity, i32, bool)> = numbers()
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (state, started, parent) = parse_stat(&stat)?;
            let alive = !matches!(state, 'Z' | 'X');
            let marked = has_variable(pid, &mark) || is_in_cgroup(pid, &cgroup);
            alive.then_some((Identity { pid, started }, parent, marked))
        })
        .collect();
    let mut found: HashSet<i32> =
        all.iter().filter(|(_, _, marked)| *marked).map(|(id, ..)| id.pid).collect();
    loop {
        let before = found.len();
        found.extend(
            all.iter()
                .filter(|(_, parent, _)| found.contains(parent))
                .map(|(id, ..)| id.pid)
                .collect::<Vec<_>>(),
        );
        if found.len() == before {
            break;
        }
    }
    all.into_iter().map(|(identity, ..)| identity).filter(|identity| found.contains(&identity.pid)).collect()
}

fn numbers() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn has_variable(pid: i32, variable: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|all| all.split(|b| *b == 0).any(|one| one == variable))
}

fn is_in_cgroup(pid: i32, below: &str) -> bool {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return false };
    text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).any(|path| path.starts_with(below))
}

/// Kills every process of the cluster until none is left, for at most `limit`.
pub(crate) async fn kill_all(paths: &Paths, spec: &Spec, limit: Duration) -> Vec<Identity> {
    let deadline = Instant::now() + limit;
    loop {
        let left = processes(paths, spec);
        if left.is_empty() || Instant::now() >= deadline {
            return left;
        }
        for identity in &left {
            identity.signal(Signal::KILL);
        }
        for cgroup in cgroups(spec) {
            thaw_tree(&cgroup);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The directories of the cluster's cgroups, in every hierarchy that is mounted.
fn cgroups(spec: &Spec) -> Vec<PathBuf> {
    let root = Path::new(CGROUPS);
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(root.to_owned())
        .chain(hierarchies)
        .map(|hierarchy| hierarchy.join(spec.network.cgroup()))
        .filter(|path| path.is_dir())
        .collect()
}

/// Thaws a tree of cgroups. A runc that is killed while it ends a container leaves it frozen, and a frozen process does
/// not even take SIGKILL where the hierarchy is of version 1.
fn thaw_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            thaw_tree(&entry.path());
        }
    }
    for (file, thawed) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        let path = dir.join(file);
        // Each version has a file of its own, and neither is in a hierarchy's root.
        if path.exists()
            && let Err(error) = fs::write(&path, thawed)
        {
            tracing::debug!(path = %path.display(), %error, "a cgroup is not thawed");
        }
    }
}

/// Removes the cluster's cgroups. The kernel may call one busy for a moment after its last process has ended.
pub(crate) async fn remove_cgroups(spec: &Spec, limit: Duration) {
    let deadline = Instant::now() + limit;
    loop {
        for cgroup in cgroups(spec) {
            remove_tree(&cgroup);
        }
        if cgroups(spec).is_empty() || Instant::now() >= deadline {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Removes the directories of a tree, children first; cgroups hold no other files that count.
fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    if let Err(error) = fs::remove_dir(dir) {
        tracing::debug!(path = %dir.display(), %error, "a cgroup stays for now");
    }
}

/// What is still there of the cluster, in words; nothing after a complete `down`.
pub(crate) async fn list(paths: &Paths, spec: &Spec) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for identity in processes(paths, spec) {
        let command = fs::read_to_string(format!("/proc/{}/cmdline", identity.pid)).unwrap_or_default();
        left.push(format!("process {}: {}", identity.pid, command.replace('\0', " ").trim()));
    }
    left.extend(nodes::mounts_below(paths.root())?.iter().map(|point| format!("mount {}", point.display())));
    left.extend(
        network::blackholes(&spec.network).await?.iter().map(|range| format!("blackhole route {range}")),
    );
    if network::exists(&spec.network.bridge()) {
        left.push(format!("bridge {}", spec.network.bridge()));
    }
    for node in spec.nodes() {
        if network::exists(&node.link()) {
            left.push(format!("link {}", node.link()));
        }
        if nodes::netns_file(&node).exists() {
            left.push(format!("network namespace {}", node.netns()));
        }
    }
    left.extend(cgroups(spec).iter().map(|path| format!("cgroup {}", path.display())));
    Ok(left)
}

/// `Ok` when nothing of the cluster is left.
pub(crate) async fn verify(paths: &Paths, spec: &Spec) -> Result<()> {
    let left = list(paths, spec).await?;
    if left.is_empty() { Ok(()) } else { Err(Error::Leftovers(left)) }
}
