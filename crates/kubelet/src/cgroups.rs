//! The cgroups of pods, above those that the runtime makes for containers.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gantry_api::core::v1::PodSpec;
use gantry_container_runtime::Resources;

use crate::container::resources::{pod_cgroup, pod_resources};

/// A controller's hierarchy is removed from below; no tree of ours is deeper.
const MAX_DEPTH: usize = 8;

/// The cgroup hierarchies of this machine.
#[derive(Debug, Clone)]
pub struct Cgroups {
    /// Mount points: one for each controller on version 1, the only one on version 2, none where there are no cgroups.
    mounts: Vec<PathBuf>,
    unified: bool,
    root: String,
}

impl Cgroups {
    /// Finds the hierarchies below `mount` (`/sys/fs/cgroup`). `root` is what this node's cgroups begin with.
    #[must_use]
    pub fn find(mount: &Path, root: &str) -> Self {
        let unified = mount.join("cgroup.controllers").exists();
        let mounts = if unified { vec![mount.to_owned()] } else { version_1(mount) };
        let trimmed = root.trim_matches('/');
        let root = if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") };
        Self { mounts, unified, root }
    }

    /// The cgroup of a pod.
    #[must_use]
    pub fn pod(&self, spec: &PodSpec, uid: &str) -> String {
        pod_cgroup(&self.root, spec, uid)
    }

    /// Makes the pod's cgroup with its limits.
    pub fn create(&self, spec: &PodSpec, uid: &str) -> io::Result<()> {
        let path = self.pod(spec, uid);
        let resources = pod_resources(spec);
        for mount in &self.mounts {
            let dir = mount.join(path.trim_start_matches('/'));
            if self.unified {
                self.delegate(mount, &path)?;
            }
            fs::create_dir_all(&dir)?;
            for (file, value) in self.settings(mount, &resources) {
                fs::write(dir.join(file), value)?;
            }
        }
        Ok(())
    }

    /// Gives the pod's cgroup other limits; what is absent stays.
    pub fn change(&self, spec: &PodSpec, uid: &str, resources: &Resources) -> io::Result<()> {
        let path = self.pod(spec, uid);
        for mount in &self.mounts {
            let dir = mount.join(path.trim_start_matches('/'));
            for (file, value) in self.settings(mount, resources) {
                // Without a limit of its own it keeps what it has.
                if file == "cpu.max" && resources.cpu_quota_us.is_none() {
                    continue;
                }
                fs::write(dir.join(file), value)?;
            }
        }
        Ok(())
    }

    /// Removes the pod's cgroups, and those that the runtime left below them. Processes must be gone.
    pub fn remove(&self, spec: &PodSpec, uid: &str) -> io::Result<()> {
        let path = self.pod(spec, uid);
        for mount in &self.mounts {
            remove_tree(&mount.join(path.trim_start_matches('/')), 0)?;
        }
        Ok(())
    }

    /// The UIDs of all pods that have cgroups.
    pub fn pods(&self) -> io::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for class in self.classes() {
            found.extend(
                children(&class)?.iter().filter_map(|name| name.strip_prefix("pod")).map(str::to_owned),
            );
        }
        Ok(found)
    }

    /// Removes the cgroups of a pod of which nothing but its UID is known.
    pub fn purge(&self, uid: &str) -> io::Result<()> {
        self.classes().iter().try_for_each(|class| remove_tree(&class.join(format!("pod{uid}")), 0))
    }

    /// The directories in which pods' cgroups are.
    fn classes(&self) -> Vec<PathBuf> {
        let base = format!("{}/kubepods", self.root);
        let of = |mount: &PathBuf| {
            let base = mount.join(base.trim_start_matches('/'));
            [base.join("burstable"), base.join("besteffort"), base]
        };
        self.mounts.iter().flat_map(of).collect()
    }

    /// Version 2: controllers are handed down from each level to the next.
    fn delegate(&self, mount: &Path, path: &str) -> io::Result<()> {
        let mut dir = mount.to_owned();
        for part in path.trim_start_matches('/').split('/') {
            for controller in ["+cpu", "+cpuset", "+memory", "+pids", "+io"] {
                // A controller that the kernel lacks cannot be handed down; limits that need it fail later, by name.
                if let Err(error) = fs::write(dir.join("cgroup.subtree_control"), controller) {
                    tracing::debug!(%error, controller, dir = %dir.display(), "controller not delegated");
                }
            }
            dir.push(part);
            fs::create_dir_all(&dir)?;
        }
        Ok(())
    }

    fn settings(&self, mount: &Path, resources: &Resources) -> Vec<(&'static str, String)> {
        let mut settings = Vec::new();
        let (quota, period) = (resources.cpu_quota_us, resources.cpu_period_us.unwrap_or(100_000));
        if self.unified {
            if let Some(shares) = resources.cpu_shares {
                // The kernel's two scales: 2 to 262144 and 1 to 10000.
                settings.push(("cpu.weight", (1 + (shares.max(2) - 2) * 9999 / 262_142).to_string()));
            }
            let quota = quota.map_or("max".to_owned(), |quota| quota.to_string());
            settings.push(("cpu.max", format!("{quota} {period}")));
            if let Some(limit) = resources.memory_limit_bytes {
                settings.push(("memory.max", limit.to_string()));
            }
            return settings;
        }
        let has = |file: &str| mount.join(file).exists();
        if has("cpu.shares")
            && let Some(shares) = resources.cpu_shares
        {
            settings.push(("cpu.shares", shares.to_string()));
        }
        if has("cpu.cfs_quota_us")
            && let Some(quota) = quota
        {
            settings.push(("cpu.cfs_period_us", period.to_string()));
            settings.push(("cpu.cfs_quota_us", quota.to_string()));
        }
        if has("memory.limit_in_bytes")
            && let Some(limit) = resources.memory_limit_bytes
        {
            settings.push(("memory.limit_in_bytes", limit.to_string()));
        }
        settings
    }
}

/// The hierarchies of version 1: directories that list processes. Several names may lead to the same one.
fn version_1(mount: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for name in children(mount).unwrap_or_default() {
        let Ok(path) = fs::canonicalize(mount.join(&name)) else { continue };
        // cpuset refuses processes until its own settings are made: the runtime does that where it needs to.
        let usable = path.join("cgroup.procs").exists() && name != "cpuset" && name != "unified";
        if usable && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

fn children(dir: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(dir) {
        Ok(entries) => {
            let mut names = Vec::new();
            for entry in entries {
                let entry = entry?;
                if entry.path().is_dir() {
                    names.extend(entry.file_name().into_string());
                }
            }
            Ok(names)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn remove_tree(dir: &Path, depth: usize) -> io::Result<()> {
    if depth < MAX_DEPTH {
        for name in children(dir)? {
            remove_tree(&dir.join(name), depth + 1)?;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> PodSpec {
        serde_json::from_str(r#"{"containers":[{"name":"c","resources":{"limits":{"memory":"1Mi"}}}]}"#)
            .unwrap()
    }

    /// A directory that looks like version 1 from outside.
    fn machine() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for controller in ["cpu", "memory", "cpuset"] {
            fs::create_dir(dir.path().join(controller)).unwrap();
            fs::write(dir.path().join(controller).join("cgroup.procs"), "").unwrap();
        }
        fs::write(dir.path().join("memory/memory.limit_in_bytes"), "").unwrap();
        dir
    }

    #[test]
    fn limits_can_be_changed() {
        let machine = machine();
        let cgroups = Cgroups::find(machine.path(), "");
        cgroups.create(&spec(), "u").unwrap();
        let wanted = Resources { memory_limit_bytes: Some(7), cpu_shares: Some(9), ..Resources::default() };
        cgroups.change(&spec(), "u", &wanted).unwrap();
        let dir = machine.path().join("memory/kubepods/burstable/podu");
        assert_eq!(fs::read_to_string(dir.join("memory.limit_in_bytes")).unwrap(), "7");
        cgroups.change(&spec(), "u", &Resources::default()).unwrap();
        assert_eq!(fs::read_to_string(dir.join("memory.limit_in_bytes")).unwrap(), "7");
        assert!(cgroups.change(&spec(), "other", &wanted).is_err());
    }

    #[test]
    fn pods_have_their_own_and_leave_none() {
        let machine = machine();
        let cgroups = Cgroups::find(machine.path(), "node-1");
        cgroups.create(&spec(), "u").unwrap();
        let dir = machine.path().join("memory/node-1/kubepods/burstable/podu");
        assert_eq!(fs::read_to_string(dir.join("memory.limit_in_bytes")).unwrap(), "1048576");
        assert!(!machine.path().join("cpuset/node-1").exists());
        // Files of a real hierarchy vanish with their directory.
        fs::remove_file(dir.join("memory.limit_in_bytes")).unwrap();
        fs::create_dir(dir.join("container")).unwrap();
        assert_eq!(cgroups.pods().unwrap().into_iter().collect::<Vec<_>>(), ["u"]);
        cgroups.purge("other").unwrap();
        assert!(dir.exists());
        cgroups.purge("u").unwrap();
        assert!(!dir.exists());
        cgroups.remove(&spec(), "u").unwrap();
    }
}
