//! What a container is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{Error, Result};

/// Everything that is needed to create a container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerConfig {
    /// Unique on the node; at most 76 characters of `[A-Za-z0-9_.-]`, beginning with a letter or digit.
    pub id: String,
    /// The image as [`crate::Runtime::pull_image`] was given it, or an image id (`sha256:...`).
    pub image: String,
    /// Found again in [`crate::ContainerStatus::labels`], also by a kubelet that starts afresh.
    pub labels: BTreeMap<String, String>,
    /// Replaces the image's entry point; when it is set the image's command is ignored too.
    pub command: Vec<String>,
    /// Replaces the image's command.
    pub args: Vec<String>,
    /// Added to the image's environment, replacing variables of the same name; a later entry wins.
    pub env: Vec<(String, String)>,
    /// The image's working directory when absent.
    pub working_dir: Option<String>,
    /// Whom the process runs as.
    pub user: User,
    /// In the order in which they are mounted.
    pub mounts: Vec<Mount>,
    /// The namespaces that the container joins.
    pub namespaces: Namespaces,
    /// The host name, set only in a UTS namespace of the container's own.
    pub hostname: Option<String>,
    /// The cgroup below which the container's own is made, such as `/kubepods/burstable/pod1`.
    pub cgroup_parent: String,
    /// Limits and shares.
    pub resources: Resources,
    /// Privileges.
    pub security: Security,
    /// Kernel parameters of the container's own namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Host devices that the container may use; privileged containers get all.
    pub devices: Vec<Device>,
    /// Process limits.
    pub rlimits: Vec<Rlimit>,
    /// Run on a terminal: stdout and stderr are one stream.
    pub tty: bool,
    /// Keep the standard input open for [`crate::Runtime::open_stdin`]. Together with `log` this works on a terminal
    /// only, because containerd's shim gives a log driver's container no input; there the input is empty.
    pub stdin: bool,
    /// Where the output goes; it is discarded when absent.
    pub log: Option<LogConfig>,
}

/// Whom a process runs as. What is absent comes from the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Numeric user.
    pub uid: Option<u32>,
    /// Numeric group; the user's own group of the image's `/etc/passwd` when absent.
    pub gid: Option<u32>,
    /// Groups besides those that the image's `/etc/group` gives the user.
    pub supplemental_groups: Vec<u32>,
}

/// Something mounted into the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container; made when it does not exist.
    pub destination: PathBuf,
    /// Refuse writes through this mount.
    pub read_only: bool,
    /// How mounts made later below it travel.
    pub propagation: Propagation,
}

/// What a [`Mount`] shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A file or directory of the host, with everything mounted below it.
    Host(PathBuf),
    /// A memory file system of the container's own.
    Tmpfs {
        /// Its size limit; half of the machine's memory when absent.
        size_bytes: Option<u64>,
    },
}

/// Mount propagation between the host and the container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// None.
    #[default]
    Private,
    /// Mounts of the host appear in the container.
    HostToContainer,
    /// And mounts of the container appear on the host.
    Bidirectional,
}

/// The namespaces of a container. Mount namespaces are always its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Network.
    pub network: Namespace,
    /// System V IPC and POSIX queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// Process ids.
    pub pid: Namespace,
}

/// Where a namespace comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespace {
    /// A new one for this container.
    #[default]
    Private,
    /// That of the host.
    Host,
    /// The pinned namespace at this path.
    Path(PathBuf),
}

/// Limits and shares. What is absent is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Relative weight of CPU time, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// CPU time per period in microseconds.
    pub cpu_quota_us: Option<i64>,
    /// Length of the period in microseconds.
    pub cpu_period_us: Option<u64>,
    /// CPUs to run on, such as `0-1`.
    pub cpuset_cpus: Option<String>,
    /// Memory limit in bytes; swap counts toward it.
    pub memory_limit_bytes: Option<i64>,
    /// Most processes and threads.
    pub pids_limit: Option<i64>,
    /// How early the kernel kills it when memory runs out, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
}

/// Privileges of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// All capabilities and devices, no masked paths.
    pub privileged: bool,
    /// Changes to the default set of capabilities.
    pub capabilities: Capabilities,
    /// Mount the image read-only.
    pub read_only_root: bool,
    /// Forbid gaining privileges, for instance by set-user-id programs.
    pub no_new_privileges: bool,
    /// Show all of `/proc` and leave it writable.
    pub unmasked_proc: bool,
}

/// Changes to the default set of capabilities, with or without the prefix `CAP_`; `ALL` stands for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Added after `drop` was applied.
    pub add: Vec<String>,
    /// Taken from the default set.
    pub drop: Vec<String>,
}

/// A device of the host in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Path on the host.
    pub host_path: PathBuf,
    /// Path in the container.
    pub container_path: PathBuf,
    /// Any of `r`, `w` and `m`.
    pub permissions: String,
}

/// One process limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rlimit {
    /// Such as `RLIMIT_NOFILE`.
    pub kind: String,
    /// What the kernel enforces.
    pub soft: u64,
    /// Up to where the process may raise it.
    pub hard: u64,
}

/// Where a container's output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The current file; rotated ones lie beside it. Its directory is made when it does not exist.
    pub path: PathBuf,
    /// Size at which a file is rotated.
    pub max_size_bytes: u64,
    /// Files kept, with the current one.
    pub max_files: u32,
}

impl LogConfig {
    /// A log at `path` of 5 files of 10 MiB.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_size_bytes: 10 << 20, max_files: 5 }
    }
}

/// The longest id that every runtime takes.
const MAX_ID: usize = 76;

impl ContainerConfig {
    /// Checks what no runtime could use.
    pub(crate) fn validate(&self) -> Result<()> {
        let invalid = |field, value: &str, reason: &str| {
            Err(Error::InvalidConfig { field, value: value.to_owned(), reason: reason.to_owned() })
        };
        let plain = |c: char| c.is_ascii_alphanumeric();
        let id = &self.id;
        let ends_plain = id.starts_with(plain) && id.ends_with(plain);
        let separators = |pair: &[u8]| pair.iter().all(|byte| b"._-".contains(byte));
        if id.len() > MAX_ID || !ends_plain || !id.chars().all(|c| plain(c) || "._-".contains(c)) {
            return invalid(
                "id",
                id,
                "must be 1 to 76 of [A-Za-z0-9._-], with a letter or digit at both ends",
            );
        }
        if id.as_bytes().windows(2).any(separators) {
            return invalid("id", id, "must not have two of '.', '_' and '-' in a row");
        }
        if let Some((name, _)) =
            self.env.iter().find(|(name, _)| name.is_empty() || name.contains(['=', '\0']))
        {
            return invalid("env", name, "must be a name without '='");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        let check = |id: &str| ContainerConfig { id: id.into(), ..ContainerConfig::default() }.validate();
        for good in ["a", "web-0_main.1", &"x".repeat(76)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "a/b", "ä", &"x".repeat(77)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
