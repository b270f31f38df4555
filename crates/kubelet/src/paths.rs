//! Where things are on the node.

use std::path::{Path, PathBuf};

/// The node's directories.
#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
    run: PathBuf,
    logs: PathBuf,
}

impl Paths {
    /// `root` outlives a reboot, `run` does not and is in memory; `logs` is where containers' output goes.
    #[must_use]
    pub fn new(root: PathBuf, run: PathBuf, logs: PathBuf) -> Self {
        Self { root, run, logs }
    }

    /// Where the pods' sandboxes are pinned.
    #[must_use]
    pub fn sandboxes(&self) -> PathBuf {
        self.run.join("sandboxes")
    }

    /// Where the network keeps its allocations.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.root.join("network")
    }

    /// The directory of all pods.
    #[must_use]
    pub fn pods(&self) -> PathBuf {
        self.root.join("pods")
    }

    /// Where all pods' logs are.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Where the files of secrets are.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.run.join("secrets")
    }

    /// One pod's directories.
    #[must_use]
    pub fn pod(&self, uid: &str, namespace: &str, name: &str) -> PodPaths {
        PodPaths {
            root: self.pods().join(uid),
            secrets: self.secrets().join(uid),
            logs: self.logs.join(format!("{namespace}_{name}_{uid}")),
        }
    }
}

/// One pod's directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPaths {
    root: PathBuf,
    secrets: PathBuf,
    logs: PathBuf,
}

impl PodPaths {
    /// The pod's own directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the volumes.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// One volume.
    #[must_use]
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    /// The directory of volumes that show secrets, in memory.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.secrets.clone()
    }

    /// One volume that shows secrets.
    #[must_use]
    pub fn secret(&self, name: &str) -> PathBuf {
        self.secrets.join(name)
    }

    /// The pod's `/etc/hosts`.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.root.join("etc-hosts")
    }

    /// The pod's `/etc/resolv.conf`.
    #[must_use]
    pub fn resolv_conf(&self) -> PathBuf {
        self.root.join("resolv.conf")
    }

    /// The pod's `/etc/hostname`.
    #[must_use]
    pub fn hostname(&self) -> PathBuf {
        self.root.join("etc-hostname")
    }

    /// Where an instance of a container leaves its last words.
    #[must_use]
    pub fn termination_log(&self, container: &str, attempt: u32) -> PathBuf {
        self.root.join("containers").join(container).join(format!("{attempt}.termination-log"))
    }

    /// The pod's logs.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The log of an instance of a container.
    #[must_use]
    pub fn log(&self, container: &str, attempt: u32) -> PathBuf {
        self.logs.join(container).join(format!("{attempt}.log"))
    }
}
