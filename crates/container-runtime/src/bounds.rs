//! What this process may pass on to containers.
//!
//! A node inside a restricted machine lacks some capabilities itself. Asking the kernel for more than one has fails
//! the whole container, so requests are cut down to what there is, as rootless runtimes do; the log says so once.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::resource::{Resource, getrlimit};

use crate::{Error, Result};

/// All capabilities without their prefix, by their number.
pub(crate) const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The most that containers can get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The bounding set of this process, without prefixes.
    pub(crate) capabilities: BTreeSet<&'static str>,
    /// The lowest oom_score_adj that can be set.
    pub(crate) min_oom_score_adj: i32,
    /// The most open files that can be allowed; absent when there is no bound.
    pub(crate) max_open_files: Option<u64>,
}

impl Bounds {
    /// No bounds at all.
    pub fn unlimited() -> Self {
        let capabilities = CAPABILITIES.into_iter().collect();
        Self { capabilities, min_oom_score_adj: -1000, max_open_files: None }
    }

    /// Those of this process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_this_process() -> Result<Self> {
        let path = "/proc/self/status";
        let bad = |reason: String| Error::Io { path: path.into(), reason };
        let status = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let mask = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        let mask = mask.ok_or_else(|| bad("no capability bounding set".into()))?;
        let mut bounds = Self::unlimited();
        let has = |number: usize| mask & (1 << number) != 0;
        bounds.capabilities =
            (0..).zip(CAPABILITIES).filter(|(i, _)| has(*i)).map(|(_, name)| name).collect();
        if !bounds.capabilities.contains("SYS_RESOURCE") {
            let own = fs::read_to_string("/proc/self/oom_score_adj").ok();
            bounds.min_oom_score_adj = own.and_then(|own| own.trim().parse().ok()).unwrap_or(0);
            bounds.max_open_files = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard);
        }
        Ok(bounds)
    }

    /// Tells what containers cannot have here.
    pub(crate) fn log(&self) {
        let missing: Vec<_> = CAPABILITIES.iter().filter(|c| !self.capabilities.contains(**c)).collect();
        if !missing.is_empty() {
            tracing::warn!(
                ?missing,
                min_oom_score_adj = self.min_oom_score_adj,
                max_open_files = self.max_open_files,
                "this process is restricted, containers get no more than it has"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_bounds_can_be_read() {
        let bounds = Bounds::of_this_process().unwrap();
        assert!((-1000..=1000).contains(&bounds.min_oom_score_adj));
        assert_eq!(bounds.max_open_files.is_some(), !bounds.capabilities.contains("SYS_RESOURCE"));
    }
}
