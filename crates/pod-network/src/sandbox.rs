//! A pod's namespaces, pinned as bind mounts so that no process has to keep them alive.
//!
//! A sandbox is a directory with up to three files, `net`, `ipc` and `uts`, onto which the namespaces of a
//! short-lived thread were bind-mounted. It is built under a hidden name and renamed at the end, so a
//! directory with the pod's id is always complete, whenever the process was killed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::statfs::{NSFS_MAGIC, statfs},
};
use rtnetlink::{LinkUnspec, packet_route::RouteNetlinkMessage};

use crate::{
    Error,
    namespace::{blocking, on_own_thread},
    netlink::{Connection, Mode},
    sysctl,
};

/// The kinds of namespace that a sandbox can hold, by file name, in the order of pinning.
const KINDS: [&str; 3] = ["net", "ipc", "uts"];
/// Directories being built start like this; ids never do.
const BUILDING: &str = ".new-";
/// A file can be mounted over more than once only by a bug; bounded all the same.
const MAX_STACKED_MOUNTS: usize = 16;
const MAX_ID: usize = 128;

/// Which namespaces a pod gets of its own; the others are the node's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxSpec {
    /// A network namespace with `lo` up; not for pods with `hostNetwork`.
    pub network: bool,
    /// An IPC namespace; not for pods with `hostIPC`.
    pub ipc: bool,
    /// A UTS namespace with this host name; `None` keeps the node's, as `hostNetwork` pods do.
    pub hostname: Option<String>,
    /// Kernel parameters to set inside, for example `net.ipv4.ip_unprivileged_port_start`. Only those of the
    /// pod's own namespaces may be given: whoever admits the pod checks that.
    pub sysctls: BTreeMap<String, String>,
}

/// A pod's pinned namespaces. The paths go into the containers' OCI specifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The id that it was created with.
    pub id: String,
    dir: PathBuf,
}

impl Sandbox {
    /// The network namespace, unless the pod uses the node's.
    pub fn network(&self) -> Option<PathBuf> {
        self.pin("net")
    }

    /// The IPC namespace, unless the pod uses the node's.
    pub fn ipc(&self) -> Option<PathBuf> {
        self.pin("ipc")
    }

    /// The UTS namespace, unless the pod uses the node's.
    pub fn uts(&self) -> Option<PathBuf> {
        self.pin("uts")
    }

    fn pin(&self, kind: &str) -> Option<PathBuf> {
        let path = self.dir.join(kind);
        path.exists().then_some(path)
    }
}

/// All sandboxes of a node: a directory, on a file system that does not outlive a reboot (`/run`).
///
/// Containers are started by another process, which must see the pins: it has to run in the same mount
/// namespace as this one, or the directory must be on a mount that propagates to it.
#[derive(Debug, Clone)]
pub struct Sandboxes {
    root: PathBuf,
}

impl Sandboxes {
    /// Uses `root`, which is created when missing. What a killed predecessor left half-built is removed.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(Error::path("create", &root))?;
        let sandboxes = Self { root };
        for name in sandboxes.names()?.into_iter().filter(|name| name.starts_with(BUILDING)) {
            remove(&sandboxes.root.join(name))?;
        }
        Ok(sandboxes)
    }

    /// Creates the sandbox, or returns the existing one of this id as it is.
    pub async fn create(&self, id: &str, spec: &SandboxSpec) -> Result<Sandbox, Error> {
        let (sandboxes, id, spec) = (self.clone(), id.to_owned(), spec.clone());
        blocking(move || sandboxes.create_blocking(&id, &spec)).await
    }

    /// The sandbox of this id, if it is there and its namespaces are still pinned.
    pub fn open(&self, id: &str) -> Result<Option<Sandbox>, Error> {
        let dir = self.dir(id)?;
        Ok(is_intact(&dir)?.then(|| Sandbox { id: id.to_owned(), dir }))
    }

    /// The ids of all sandboxes.
    pub fn list(&self) -> Result<Vec<String>, Error> {
        let mut names = self.names()?;
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(names)
    }

    /// Unpins the namespaces; they end when the last process in them does. No error when there are none.
    pub async fn destroy(&self, id: &str) -> Result<(), Error> {
        let dir = self.dir(id)?;
        blocking(move || remove(&dir)).await
    }

    fn create_blocking(&self, id: &str, spec: &SandboxSpec) -> Result<Sandbox, Error> {
        let dir = self.dir(id)?;
        if is_intact(&dir)? {
            return Ok(Sandbox { id: id.to_owned(), dir });
        }
        remove(&dir)?;
        let building = self.root.join(format!("{BUILDING}{id}"));
        remove(&building)?;
        fs::create_dir(&building).map_err(Error::path("create", &building))?;
        let built = on_own_thread(|| build(&building, spec))
            .and_then(|()| fs::rename(&building, &dir).map_err(Error::path("rename", &building)));
        if let Err(error) = built {
            if let Err(cleanup) = remove(&building) {
                tracing::warn!(error = %cleanup, path = %building.display(), "half-built sandbox left behind");
            }
            return Err(error);
        }
        Ok(Sandbox { id: id.to_owned(), dir })
    }

    fn dir(&self, id: &str) -> Result<PathBuf, Error> {
        let safe = (1..=MAX_ID).contains(&id.len())
            && !id.starts_with('.')
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if safe { Ok(self.root.join(id)) } else { Err(Error::InvalidId(id.to_owned())) }
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = fs::read_dir(&self.root).map_err(Error::path("list", &self.root))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::path("list", &self.root))?;
            names.extend(entry.file_name().into_string());
        }
        Ok(names)
    }
}

/// Runs on a thread of its own, which leaves the process's namespaces for good.
fn build(dir: &Path, spec: &SandboxSpec) -> Result<(), Error> {
    let kinds = [
        (spec.network, CloneFlags::CLONE_NEWNET),
        (spec.ipc, CloneFlags::CLONE_NEWIPC),
        (spec.hostname.is_some(), CloneFlags::CLONE_NEWUTS),
    ];
    let flags = kinds.iter().filter(|(own, _)| *own).map(|(_, flag)| *flag).collect::<CloneFlags>();
    unshare(flags).map_err(|errno| Error::system("make new namespaces")(errno.into()))?;
    if let Some(hostname) = &spec.hostname {
        nix::unistd::sethostname(hostname)
            .map_err(|errno| Error::system("set the pod's host name")(errno.into()))?;
    }
    if spec.network {
        let loopback = LinkUnspec::new_with_name("lo").up().build();
        Connection::open()
            .and_then(|mut link| link.change(RouteNetlinkMessage::SetLink(loopback), Mode::Modify))
            .map_err(Error::netlink("set lo up"))?;
    }
    for (name, value) in &spec.sysctls {
        sysctl::set(name, value)?;
    }
    for ((own, _), kind) in kinds.iter().zip(KINDS) {
        if *own {
            let pin = dir.join(kind);
            File::create(&pin).map_err(Error::path("create", &pin))?;
            let namespace = format!("/proc/thread-self/ns/{kind}");
            mount(Some(namespace.as_str()), &pin, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .map_err(|errno| Error::path("pin a namespace at", &pin)(errno.into()))?;
        }
    }
    Ok(())
}

/// Whether the directory exists and every pin in it really is a namespace (after a reboot they are not).
fn is_intact(dir: &Path) -> Result<bool, Error> {
    if !dir.is_dir() {
        return Ok(false);
    }
    for pin in KINDS.map(|kind| dir.join(kind)) {
        match statfs(&pin) {
            Ok(found) if found.filesystem_type() == NSFS_MAGIC => {}
            Ok(_) => return Ok(false),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(Error::path("inspect", &pin)(errno.into())),
        }
    }
    Ok(true)
}

/// Unmounts and removes a sandbox's directory, whatever state it is in.
fn remove(dir: &Path) -> Result<(), Error> {
    for pin in KINDS.map(|kind| dir.join(kind)) {
        for _ in 0..MAX_STACKED_MOUNTS {
            match umount2(&pin, MntFlags::MNT_DETACH) {
                Ok(()) => {}
                // Not a mount point any more, or not there at all.
                Err(Errno::EINVAL | Errno::ENOENT | Errno::ENOTDIR) => break,
                Err(errno) => return Err(Error::path("unpin", &pin)(errno.into())),
            }
        }
        absent_is_fine(fs::remove_file(&pin)).map_err(Error::path("remove", &pin))?;
    }
    absent_is_fine(fs::remove_dir(dir)).map_err(Error::path("remove", dir))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
