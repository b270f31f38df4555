//! The pods' namespaces, behind an interface that tests can stand in for.

use std::path::PathBuf;

use async_trait::async_trait;
use gantry_pod_network::{Error, SandboxSpec, Sandboxes};

use crate::container::config::PodNamespaces;

/// Makes and removes the pinned namespaces of pods.
#[async_trait]
pub trait SandboxHost: Send + Sync + 'static {
    /// Makes the pod's namespaces, or finds them.
    async fn create(&self, uid: &str, spec: &SandboxSpec) -> Result<PodNamespaces, Error>;

    /// The pod's network namespace, if it has one of its own and it is there.
    fn network(&self, uid: &str) -> Result<Option<PathBuf>, Error>;

    /// Removes them. No error when there are none.
    async fn destroy(&self, uid: &str) -> Result<(), Error>;

    /// The UIDs of all pods that have some.
    fn list(&self) -> Result<Vec<String>, Error>;
}

#[async_trait]
impl SandboxHost for Sandboxes {
    async fn create(&self, uid: &str, spec: &SandboxSpec) -> Result<PodNamespaces, Error> {
        let sandbox = Sandboxes::create(self, uid, spec).await?;
        let (network, ipc, uts) = (sandbox.network(), sandbox.ipc(), sandbox.uts());
        Ok(PodNamespaces { network, ipc, uts, pid: None })
    }

    fn network(&self, uid: &str) -> Result<Option<PathBuf>, Error> {
        Ok(self.open(uid)?.and_then(|sandbox| sandbox.network()))
    }

    async fn destroy(&self, uid: &str) -> Result<(), Error> {
        Sandboxes::destroy(self, uid).await
    }

    fn list(&self) -> Result<Vec<String>, Error> {
        Sandboxes::list(self)
    }
}
