//! Usage, read from the container's cgroup: cheaper than asking containerd, which asks the shim, which reads it there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::containers::missing;
use super::super::{Inner, record};
use crate::{ContainerStats, Error, Result};

const ROOT: &str = "/sys/fs/cgroup";

impl Inner {
    pub(in super::super) async fn stats(&self, id: &str) -> Result<ContainerStats> {
        let mut container = self.find(id).await?.ok_or_else(|| missing(id))?;
        let (created, _, _) = record::take(id, &mut container.labels)?;
        read(&created.cgroup).ok_or_else(|| Error::WrongState {
            id: id.to_owned(),
            state: "not running".into(),
            reason: "it has no cgroup to measure",
        })
    }
}

/// The directory of a controller: a hierarchy of its own, or the only one.
fn directory(controller: &str, cgroup: &Path) -> PathBuf {
    let root = Path::new(ROOT);
    let relative = cgroup.strip_prefix("/").unwrap_or(cgroup);
    let unified = root.join("cgroup.controllers").exists();
    if unified { root.join(relative) } else { root.join(controller).join(relative) }
}

fn read(cgroup: &Path) -> Option<ContainerStats> {
    let (cpu, memory) = (directory("cpuacct", cgroup), directory("memory", cgroup));
    let cpu_usage_ns = number(&cpu.join("cpuacct.usage"))
        .or_else(|| Some(field(&cpu.join("cpu.stat"), "usage_usec")? * 1000))?;
    let memory_usage_bytes =
        number(&memory.join("memory.usage_in_bytes")).or_else(|| number(&memory.join("memory.current")))?;
    let stat = memory.join("memory.stat");
    let inactive = field(&stat, "total_inactive_file").or_else(|| field(&stat, "inactive_file")).unwrap_or(0);
    Some(ContainerStats {
        time: SystemTime::now(),
        cpu_usage_ns,
        memory_working_set_bytes: memory_usage_bytes.saturating_sub(inactive),
        memory_usage_bytes,
        pids: number(&directory("pids", cgroup).join("pids.current")).unwrap_or(0),
    })
}

/// How many processes of the cgroup the kernel killed for want of memory.
pub(super) fn oom_kills(cgroup: &Path) -> u64 {
    let memory = directory("memory", cgroup);
    let count = field(&memory.join("memory.oom_control"), "oom_kill");
    count.or_else(|| field(&memory.join("memory.events"), "oom_kill")).unwrap_or(0)
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}
