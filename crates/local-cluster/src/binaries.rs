//! The programs that a cluster consists of, and where they are.

use std::path::{Path, PathBuf};

/// Where the programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    dirs: Vec<PathBuf>,
}

/// Programs of the distribution, with the package that has each.
pub(crate) const SYSTEM: [(&str, &str); 7] = [
    ("etcd", "etcd-server"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("docker-registry", "docker-registry"),
];

/// Gantry's own programs.
pub(crate) const OWN: [&str; 7] = [
    "gantry-apiserver",
    "gantry-scheduler",
    "gantry-controller-manager",
    "gantry-kubelet",
    "gantry-proxy",
    "gantry-dns",
    "gantry-log-driver",
];

impl Binaries {
    /// Looks in `own` first, then in the directories of `PATH`, then in those where Debian keeps root's programs.
    pub fn new(own: impl Into<PathBuf>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut dirs = vec![own.into()];
        dirs.extend(std::env::split_paths(&path));
        dirs.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
        Self { dirs }
    }

    /// Looks beside the running program first.
    pub fn beside_this_program() -> Self {
        let here = std::env::current_exe().ok();
        Self::new(here.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")))
    }

    /// Where `name` is.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.dirs.iter().map(|dir| dir.join(name)).find(|path| is_executable(path))
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
