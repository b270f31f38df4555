//! The Linux part: namespaces, cgroup, capabilities, devices.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use oci_spec::runtime::{
    Capability, Linux, LinuxCpu, LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup,
    LinuxDeviceCgroupBuilder, LinuxDeviceType, LinuxMemory, LinuxNamespace, LinuxNamespaceBuilder,
    LinuxNamespaceType, LinuxPids, LinuxResources,
};

use crate::bounds::{Bounds, CAPABILITIES};
use crate::{ContainerConfig, Device, Error, Namespace, Resources, Result, Security};

/// What a container may do unless it is told otherwise.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Files that tell about the host or are not safe to read.
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];

/// Files that change the host.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

pub(super) fn build(config: &ContainerConfig) -> Result<Linux> {
    let privileged = config.security.privileged;
    let devices = devices(config)?;
    let mut resources = resources(&config.resources);
    resources.set_devices(Some(device_rules(&config.devices, &devices, privileged)?));
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces(config)?))
        .set_cgroups_path(Some(cgroup_path(config)))
        .set_resources(Some(resources))
        .set_devices(Some(devices.into_iter().map(|(device, _)| device).collect()))
        .set_sysctl(Some(config.sysctls.clone().into_iter().collect()))
        .set_masked_paths(None)
        .set_readonly_paths(None)
        // Mounts of the host reach the container where a mount asks for it, which needs a slave root.
        .set_rootfs_propagation(Some(root_propagation(config).into()));
    if !privileged && !config.security.unmasked_proc {
        linux.set_masked_paths(Some(MASKED.map(str::to_owned).to_vec()));
        linux.set_readonly_paths(Some(READ_ONLY.map(str::to_owned).to_vec()));
    }
    Ok(linux)
}

/// The container's own cgroup.
pub(crate) fn cgroup_path(config: &ContainerConfig) -> PathBuf {
    Path::new("/").join(&config.cgroup_parent).join(&config.id)
}

/// Limits and shares without device rules.
pub(crate) fn resources(wanted: &Resources) -> LinuxResources {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(wanted.cpu_shares)
        .set_quota(wanted.cpu_quota_us)
        .set_period(wanted.cpu_period_us)
        .set_cpus(wanted.cpuset_cpus.clone());
    let mut resources = LinuxResources::default();
    resources.set_cpu(Some(cpu)).set_devices(None);
    if let Some(limit) = wanted.memory_limit_bytes {
        let mut memory = LinuxMemory::default();
        memory.set_limit(Some(limit));
        resources.set_memory(Some(memory));
    }
    if let Some(limit) = wanted.pids_limit {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    resources
}

fn root_propagation(config: &ContainerConfig) -> &'static str {
    use crate::Propagation::{Bidirectional, HostToContainer};
    let has = |wanted| config.mounts.iter().any(|mount| mount.propagation == wanted);
    match (has(Bidirectional), has(HostToContainer)) {
        (true, _) => "rshared",
        (false, true) => "rslave",
        (false, false) => "rprivate",
    }
}

fn namespaces(config: &ContainerConfig) -> Result<Vec<LinuxNamespace>> {
    let wanted = &config.namespaces;
    let joined = [
        (LinuxNamespaceType::Network, &wanted.network),
        (LinuxNamespaceType::Ipc, &wanted.ipc),
        (LinuxNamespaceType::Uts, &wanted.uts),
        (LinuxNamespaceType::Pid, &wanted.pid),
        (LinuxNamespaceType::Mount, &Namespace::Private),
    ];
    let mut namespaces = Vec::with_capacity(joined.len());
    for (kind, source) in joined {
        let builder = LinuxNamespaceBuilder::default().typ(kind);
        let builder = match source {
            Namespace::Host => continue,
            Namespace::Private => builder,
            Namespace::Path(path) => builder.path(path),
        };
        namespaces.push(builder.build().map_err(|error| super::broken("namespaces", &error))?);
    }
    Ok(namespaces)
}

/// The capabilities that a container gets: `drop` applies to the default set, `add` to what is left of it.
pub(super) fn capabilities(security: &Security, bounds: &Bounds) -> Result<HashSet<Capability>> {
    let mut set: BTreeSet<&str> = DEFAULT_CAPABILITIES.into_iter().collect();
    let changes = &security.capabilities;
    for name in &changes.drop {
        match known(name)? {
            None => set.clear(),
            Some(name) => drop(set.remove(name)),
        }
    }
    for name in &changes.add {
        match known(name)? {
            None => set.extend(CAPABILITIES),
            Some(name) => drop(set.insert(name)),
        }
    }
    if security.privileged {
        set.extend(CAPABILITIES);
    }
    let parse = |name: &str| {
        name.parse().map_err(|_| Error::InvalidConfig {
            field: "capabilities",
            value: name.to_owned(),
            reason: "is not known to the specification".into(),
        })
    };
    set.into_iter().filter(|name| bounds.capabilities.contains(name)).map(parse).collect()
}

/// The name without its prefix, or nothing for `ALL`.
fn known(name: &str) -> Result<Option<&'static str>> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if bare == "ALL" {
        return Ok(None);
    }
    let known = CAPABILITIES.into_iter().find(|known| *known == bare);
    known.map(Some).ok_or_else(|| Error::InvalidConfig {
        field: "capabilities",
        value: name.to_owned(),
        reason: "is not a capability: it must be ALL or like NET_ADMIN".into(),
    })
}

/// The devices with their permissions; all of the host's for a privileged container.
fn devices(config: &ContainerConfig) -> Result<Vec<(LinuxDevice, String)>> {
    let mut found = Vec::new();
    for Device { host_path, container_path, permissions } in &config.devices {
        let device = device(host_path, container_path)?.ok_or_else(|| Error::InvalidConfig {
            field: "devices",
            value: host_path.display().to_string(),
            reason: "is not a device".into(),
        })?;
        found.push((device, permissions.clone()));
    }
    if config.security.privileged {
        let entries = fs::read_dir("/dev").map_err(|error| io("/dev", &error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let wanted = !found.iter().any(|(d, _)| *d.path() == path) && path != Path::new("/dev/console");
            // What has just gone away is no error.
            if let Some(device) = device(&path, &path).ok().flatten().filter(|_| wanted) {
                found.push((device, "rwm".into()));
            }
        }
    }
    Ok(found)
}

fn device(host: &Path, container: &Path) -> Result<Option<LinuxDevice>> {
    let metadata = fs::symlink_metadata(host).map_err(|error| io(host, &error))?;
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => LinuxDeviceType::C,
        kind if kind.is_block_device() => LinuxDeviceType::B,
        _ => return Ok(None),
    };
    let number = metadata.rdev();
    let builder = LinuxDeviceBuilder::default()
        .path(container)
        .typ(kind)
        .major(i64::try_from(major(number)).unwrap_or(-1))
        .minor(i64::try_from(minor(number)).unwrap_or(-1))
        .file_mode(metadata.mode() & 0o7777)
        .uid(metadata.uid())
        .gid(metadata.gid());
    builder.build().map(Some).map_err(|error| super::broken("devices", &error))
}

fn io(path: impl AsRef<Path>, error: &std::io::Error) -> Error {
    Error::Io { path: path.as_ref().display().to_string(), reason: error.to_string() }
}

/// Everything is forbidden but what is listed; runc adds null, zero, tty and the like by itself.
fn device_rules(
    listed: &[Device],
    devices: &[(LinuxDevice, String)],
    privileged: bool,
) -> Result<Vec<LinuxDeviceCgroup>> {
    let build = |builder: LinuxDeviceCgroupBuilder| builder.build().map_err(|e| super::broken("devices", &e));
    let base = LinuxDeviceCgroupBuilder::default();
    let mut rules = vec![build(base.allow(privileged).access("rwm"))?];
    if !privileged {
        for (device, permissions) in devices.iter().take(listed.len()) {
            let rule = LinuxDeviceCgroupBuilder::default().allow(true).typ(device.typ());
            rules.push(build(rule.major(device.major()).minor(device.minor()).access(permissions.as_str()))?);
        }
    }
    Ok(rules)
}
