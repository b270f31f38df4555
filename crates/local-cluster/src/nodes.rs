//! Nodes: a network namespace on the bridge and a mount namespace with a private `/run`.
//!
//! Everything that runs on a node shares both, so whatever its processes mount, pin or configure vanishes with them.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::network::{exists, ip, run};
use crate::spec::{Node, Spec};
use crate::{Error, Paths, Result, files};

/// What happens inside a new node, as a shell's commands: a private /run, and packets pass through.
const SETUP: &str = "mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run && mkdir -p /run/netns /run/lock && \
                     echo 1 > /proc/sys/net/ipv4/ip_forward";

/// Makes the nodes that are not there, all at once.
pub(crate) async fn ensure(paths: &Paths, spec: &Spec) -> Result<()> {
    pin_directory(&paths.namespaces())?;
    let missing: Vec<Node> = spec.nodes().filter(|node| !is_there(paths, node)).collect();
    let made = missing.iter().map(|node| async {
        // A half-made node, after a crash, is made anew.
        remove(paths, node).await?;
        make(paths, spec, node).await
    });
    futures::future::try_join_all(made).await.map(drop)
}

async fn make(paths: &Paths, spec: &Spec, node: &Node) -> Result<()> {
    let (netns, link, bridge) = (node.netns(), node.link(), spec.network.bridge());
    ip(
        &[],
        &[
            format!("netns add {netns}"),
            format!("link add {link} type veth peer name eth0 netns {netns}"),
            format!("link set {link} master {bridge} up"),
        ],
    )
    .await?;
    ip(
        &["-netns", &netns],
        &[
            "link set lo up".to_owned(),
            format!("address add {}/24 dev eth0", node.address()),
            "link set eth0 up".to_owned(),
        ],
    )
    .await?;
    let pin = paths.mount_namespace(node);
    files::write(&pin, "")?;
    let (net, mount) = (format!("--net=/run/netns/{netns}"), format!("--mount={}", pin.display()));
    run("nsenter", &[&net, "unshare", &mount, "--propagation", "slave", "sh", "-ec", SETUP]).await.map(drop)
}

/// Removes a node's namespaces and link. Processes in it must be gone.
pub(crate) async fn remove(paths: &Paths, node: &Node) -> Result<()> {
    let pin = paths.mount_namespace(node);
    unmount(&pin)?;
    files::remove(&pin)?;
    if exists(&node.link()) {
        ip(&[], &[format!("link delete {}", node.link())]).await?;
    }
    if netns_file(node).exists() {
        ip(&[], &[format!("netns delete {}", node.netns())]).await?;
    }
    Ok(())
}

fn is_there(paths: &Paths, node: &Node) -> bool {
    is_namespace(&netns_file(node)) && is_namespace(&paths.mount_namespace(node)) && exists(&node.link())
}

/// The file that pins a node's network namespace.
pub(crate) fn netns_file(node: &Node) -> std::path::PathBuf {
    Path::new("/run/netns").join(node.netns())
}

/// Whether `path` is a pinned namespace, not just the file on which one was.
pub(crate) fn is_namespace(path: &Path) -> bool {
    nix::sys::statfs::statfs(path).is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::NSFS_MAGIC)
}

/// A mount namespace can be pinned only where mounts do not propagate: makes `dir` such a place.
fn pin_directory(dir: &Path) -> Result<()> {
    files::private_dir(dir)?;
    if is_mount_point(dir)? {
        return Ok(());
    }
    let failed = |errno: nix::Error| Error::file(dir)(errno.into());
    mount(Some(dir), dir, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(failed)?;
    mount(None::<&str>, dir, None::<&str>, MsFlags::MS_PRIVATE, None::<&str>).map_err(failed)
}

fn is_mount_point(path: &Path) -> Result<bool> {
    Ok(mounts_below(path)?.iter().any(|mounted| mounted == path))
}

/// Every mount point at or below `dir` that this process sees, the deepest last.
pub(crate) fn mounts_below(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(Error::file(table))?;
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    Ok(points.map(std::path::PathBuf::from).filter(|point| point.starts_with(dir)).collect())
}

/// Undoes the kernel's octal escapes for blanks in mount points.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Unmounts everything at or below `path`, however often it is mounted.
pub(crate) fn unmount(path: &Path) -> Result<()> {
    for point in mounts_below(path)?.iter().rev() {
        match umount2(point, MntFlags::MNT_DETACH) {
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            Err(errno) => return Err(Error::file(point)(errno.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_mount_points_are_read() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
    }

    #[test]
    fn proc_is_a_mount_and_a_file_is_no_namespace() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(is_namespace(Path::new("/proc/self/ns/net")));
        assert!(!is_namespace(Path::new("/etc/passwd")));
    }
}
