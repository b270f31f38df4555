//! What kind of machine this is, and how it is doing.

use std::fs;
use std::io;
use std::path::Path;

use gantry_api::core::v1::NodeSystemInfo;
use nix::sys::statvfs::statvfs;

/// What does not change while the machine runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Machine {
    /// CPUs.
    pub cpus: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Size of the file system that pods lie on.
    pub storage_bytes: i64,
    /// Versions and ids.
    pub info: NodeSystemInfo,
}

/// How the machine is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Memory that can be had without swapping.
    pub memory_available: u64,
    /// Free storage, in hundredths.
    pub storage_free_percent: u64,
    /// Free inodes, in hundredths.
    pub inodes_free_percent: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Most of them.
    pub processes_max: u64,
}

/// Reads the machine's facts. `root` is where pods lie, `runtime` the runtime's name and version.
pub fn machine(root: &Path, runtime: &str) -> io::Result<Machine> {
    let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let image = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    let info = NodeSystemInfo {
        machine_id: line("/etc/machine-id"),
        system_uuid: line("/sys/class/dmi/id/product_uuid"),
        boot_id: line("/proc/sys/kernel/random/boot_id"),
        kernel_version: line("/proc/sys/kernel/osrelease"),
        os_image: image.trim_matches('"').to_owned(),
        container_runtime_version: runtime.to_owned(),
        kubelet_version: version,
        kube_proxy_version: String::new(),
        operating_system: "linux".to_owned(),
        architecture: architecture().to_owned(),
        swap: None,
    };
    let storage = statvfs(root)?;
    Ok(Machine {
        cpus: std::thread::available_parallelism().map_or(1, |n| i64::try_from(n.get()).unwrap_or(i64::MAX)),
        memory_bytes: i64::try_from(memory(&fs::read_to_string("/proc/meminfo")?, "MemTotal"))
            .unwrap_or(i64::MAX),
        storage_bytes: i64::try_from(storage.blocks().saturating_mul(storage.fragment_size()))
            .unwrap_or(i64::MAX),
        info,
    })
}

/// The architecture, as the API spells it.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Reads the machine's load.
pub fn load(root: &Path) -> io::Result<Load> {
    let storage = statvfs(root)?;
    let percent = |free: u64, all: u64| free.saturating_mul(100).checked_div(all).unwrap_or(100);
    let number = |path: &str| fs::read_to_string(path).map(|text| text.trim().parse().unwrap_or_default());
    // 0.00 0.01 0.05 1/234 5678
    let average = fs::read_to_string("/proc/loadavg")?;
    let threads = average.split_whitespace().nth(3).and_then(|part| part.split('/').nth(1));
    Ok(Load {
        memory_available: memory(&fs::read_to_string("/proc/meminfo")?, "MemAvailable"),
        storage_free_percent: percent(storage.blocks_available(), storage.blocks()),
        inodes_free_percent: percent(storage.files_available(), storage.files()),
        processes: threads.and_then(|count| count.parse().ok()).unwrap_or_default(),
        processes_max: number("/proc/sys/kernel/pid_max")?,
    })
}

/// A line of /proc/meminfo, in bytes.
fn memory(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = machine(Path::new("/"), "fake://1").unwrap();
        assert!(machine.cpus > 0 && machine.memory_bytes > 0 && machine.storage_bytes > 0);
        assert!(!machine.info.kernel_version.is_empty());
        let load = load(Path::new("/")).unwrap();
        assert!(load.memory_available > 0 && load.processes > 0 && load.processes_max > 0);
    }

    #[test]
    fn memory_lines_are_kilobytes() {
        let text = "MemTotal:       2048 kB\nMemFree: 5 kB\n";
        assert_eq!(memory(text, "MemTotal"), 2 << 20);
        assert_eq!(memory(text, "MemAvailable"), 0);
    }
}
