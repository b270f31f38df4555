//! Where everything is in a cluster's state directory.

use std::path::{Path, PathBuf};

use crate::spec::Node;

/// The layout of a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The layout below `root`, an absolute path.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// The log of the process `name`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Everything of a node that lasts.
    pub fn node(&self, node: &Node) -> PathBuf {
        self.root.join("nodes").join(node.name())
    }

    /// The pinned mount namespace of a node.
    pub fn mount_namespace(&self, node: &Node) -> PathBuf {
        self.namespaces().join(node.name())
    }

    /// A component's kubeconfig.
    pub fn component_kubeconfig(&self, name: &str) -> PathBuf {
        self.root.join("kubeconfigs").join(format!("{name}.yaml"))
    }

    /// A certificate.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.pki().join(format!("{name}.crt"))
    }

    /// A certificate's key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.pki().join(format!("{name}.key"))
    }

    /// Certificates and keys.
    pub(crate) fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// The directory of pinned namespaces, a mount of its own.
    pub(crate) fn namespaces(&self) -> PathBuf {
        self.root.join("namespaces")
    }

    /// What is running, forgotten at `down`.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Which process is `name`.
    pub(crate) fn pid_file(&self, name: &str) -> PathBuf {
        self.run().join(format!("{name}.pid"))
    }

    pub(crate) fn spec(&self) -> PathBuf {
        self.root.join("cluster.json")
    }

    pub(crate) fn plan(&self) -> PathBuf {
        self.run().join("plan.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.root.join("etcd")
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.root.join("registry")
    }

    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.root.join("config").join(name)
    }
}
