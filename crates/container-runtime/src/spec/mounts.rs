//! What is mounted in a container.

use oci_spec::runtime::{Mount, MountBuilder};

use crate::{ContainerConfig, Error, MountSource, Namespace, Propagation, Result};

/// The file systems that every Linux program expects, as (destination, type, source, options).
const DEFAULTS: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
];

pub(super) fn build(config: &ContainerConfig) -> Result<Vec<Mount>> {
    let mut mounts = Vec::with_capacity(DEFAULTS.len() + config.mounts.len());
    for (destination, kind, source, options) in DEFAULTS {
        if config.mounts.iter().any(|mount| mount.destination.as_os_str() == destination) {
            continue;
        }
        let writable = config.security.privileged;
        let mut options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        if writable {
            options.iter_mut().filter(|o| *o == "ro").for_each(|o| *o = "rw".into());
        }
        // Message queues of the host can only be seen, not mounted, from its own IPC namespace.
        let (kind, source) = match (destination, &config.namespaces.ipc) {
            ("/dev/shm" | "/dev/mqueue", Namespace::Host) => {
                options = vec!["rbind".into(), "nosuid".into(), "noexec".into(), "nodev".into()];
                ("bind", destination)
            }
            _ => (kind, source),
        };
        mounts.push(mount(destination.into(), kind, source.into(), options)?);
    }
    for wanted in &config.mounts {
        if !wanted.destination.is_absolute() {
            return Err(Error::InvalidConfig {
                field: "mounts",
                value: wanted.destination.display().to_string(),
                reason: "is not an absolute path: a mount's destination must begin with /".into(),
            });
        }
        let access = if wanted.read_only { "ro" } else { "rw" };
        let destination = wanted.destination.clone();
        mounts.push(match &wanted.source {
            MountSource::Host(source) => {
                let propagation = match wanted.propagation {
                    Propagation::Private => "rprivate",
                    Propagation::HostToContainer => "rslave",
                    Propagation::Bidirectional => "rshared",
                };
                let options = ["rbind", propagation, access].map(str::to_owned).to_vec();
                mount(destination, "bind", source.clone(), options)?
            }
            MountSource::Tmpfs { size_bytes } => {
                let mut options =
                    vec!["nosuid".into(), "nodev".into(), "mode=1777".into(), access.to_owned()];
                options.extend(size_bytes.map(|size| format!("size={size}")));
                mount(destination, "tmpfs", "tmpfs".into(), options)?
            }
        });
    }
    Ok(mounts)
}

fn mount(
    destination: std::path::PathBuf,
    kind: &str,
    source: std::path::PathBuf,
    options: Vec<String>,
) -> Result<Mount> {
    let builder = MountBuilder::default().destination(destination).typ(kind).source(source).options(options);
    builder.build().map_err(|error| super::broken("mounts", &error))
}
