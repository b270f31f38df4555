//! What the processes of the cluster occupy.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;

/// The processes that count, by the start of their name; the kernel cuts names to 15 characters.
const NAMES: [&str; 9] = [
    "etcd",
    "gantry-apiserve",
    "gantry-schedule",
    "gantry-controll",
    "gantry-dns",
    "gantry-kubelet",
    "gantry-proxy",
    "containerd",
    "kctl",
];

/// The resident memory of a process, in bytes.
///
/// # Errors
/// Where there is no such process.
pub fn of(pid: i32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 =
        line.with_context(|| format!("{path} has no VmRSS"))?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

/// Prints the resident memory of every process of the cluster's components.
pub fn print(when: &str) {
    let mut sizes: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let Some(name) = field("Name:").filter(|name| NAMES.contains(name)) else { continue };
        let kib: u64 =
            field("VmRSS:").and_then(|text| text.split(' ').next()).and_then(|n| n.parse().ok()).unwrap_or(0);
        let size = sizes.entry(name.to_owned()).or_default();
        size.0 += 1;
        size.1 += kib;
    }
    println!("resident memory, {when}:");
    for (name, (count, kib)) in sizes {
        println!("  {name:<16} {count} x {:>7.1} MiB", kib as f64 / 1024.0 / count as f64);
    }
}
