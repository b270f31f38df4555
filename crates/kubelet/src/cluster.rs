//! What the kubelet asks of the cluster about pods. The real one is [`client::ClientCluster`]; tests script their own.

pub mod client;

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use gantry_api::authentication::v1::TokenRequest;
use gantry_api::core::v1::{ConfigMap, Pod, PodStatus, Secret, Service};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::DropGuard;

/// News about the pods of this node.
#[derive(Debug, Clone)]
pub enum PodEvent {
    /// All of them: the first event, and again after a gap. A pod that is not among them does not exist.
    Listed(Vec<Arc<Pod>>),
    /// A pod was bound to the node or changed.
    Applied(Arc<Pod>),
    /// A pod is gone.
    Deleted(Arc<Pod>),
}

/// Why a write did not go through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object is gone, or another one has its name now.
    #[error("{what}: gone")]
    Gone {
        /// What was to be written.
        what: String,
    },
    /// Anything else.
    #[error("{what}: {reason}")]
    Failed {
        /// What was to be done.
        what: String,
        /// Why it could not.
        reason: String,
    },
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The way things go.
    Normal,
    /// Someone should look.
    Warning,
}

impl Severity {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// The state of an object that is being followed.
#[derive(Debug)]
pub enum Followed<T> {
    /// Not known yet.
    Unknown,
    /// There is none.
    Absent,
    /// As it is now.
    Present(Arc<T>),
}

impl<T> Clone for Followed<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Absent => Self::Absent,
            Self::Present(object) => Self::Present(Arc::clone(object)),
        }
    }
}

/// Follows one object for as long as it is held. Clones share the subscription.
#[derive(Debug)]
pub struct Subscription<T> {
    state: watch::Receiver<Followed<T>>,
    guard: Arc<DropGuard>,
}

/// A subscription that others may have let go.
#[derive(Debug)]
pub struct WeakSubscription<T> {
    state: watch::Receiver<Followed<T>>,
    guard: Weak<DropGuard>,
}

impl<T> WeakSubscription<T> {
    /// The subscription, while anybody holds it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Subscription<T>> {
        Some(Subscription { state: self.state.clone(), guard: self.guard.upgrade()? })
    }
}

impl<T> Clone for Subscription<T> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), guard: Arc::clone(&self.guard) }
    }
}

impl<T: Send + Sync + 'static> Subscription<T> {
    /// A subscription to `state`; `guard` ends what feeds it.
    #[must_use]
    pub fn new(state: watch::Receiver<Followed<T>>, guard: DropGuard) -> Self {
        Self { state, guard: Arc::new(guard) }
    }

    /// A way back to this subscription that does not hold it.
    #[must_use]
    pub fn downgrade(&self) -> WeakSubscription<T> {
        WeakSubscription { state: self.state.clone(), guard: Arc::downgrade(&self.guard) }
    }

    /// The object as soon as it is known whether there is one.
    pub async fn get(&self) -> Option<Arc<T>> {
        let mut state = self.state.clone();
        // When nobody feeds it any more, what is known last counts.
        let known = state.wait_for(|state| !matches!(state, Followed::Unknown)).await;
        match known.ok()?.clone() {
            Followed::Present(object) => Some(object),
            Followed::Absent | Followed::Unknown => None,
        }
    }

    /// Waits for the next change; `false` when there will be none.
    pub async fn changed(&mut self) -> bool {
        self.state.changed().await.is_ok()
    }

    /// Takes the present state as seen: [`Self::changed`] waits for the next.
    pub fn mark_seen(&mut self) {
        self.state.mark_unchanged();
    }
}

/// The cluster, as far as pods are concerned.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// The node's pods. Called once.
    fn pods(&self) -> mpsc::Receiver<PodEvent>;

    /// Writes a pod's status, as far as the kubelet decides on it, to the pod of this UID. Answers with the object.
    async fn write_status(
        &self,
        pod: &Pod,
        previous: &PodStatus,
        status: &PodStatus,
    ) -> Result<Arc<Pod>, Error>;

    /// Removes the object of a pod that has ended.
    async fn delete_pod(&self, pod: &Pod) -> Result<(), Error>;

    /// Follows a ConfigMap.
    fn config_map(&self, namespace: &str, name: &str) -> Subscription<ConfigMap>;

    /// Follows a Secret.
    fn secret(&self, namespace: &str, name: &str) -> Subscription<Secret>;

    /// Asks for a token of a service account.
    async fn token(
        &self,
        namespace: &str,
        account: &str,
        request: TokenRequest,
    ) -> Result<TokenRequest, Error>;

    /// The services that a pod of this namespace finds in its environment.
    async fn services(&self, namespace: &str) -> Vec<Arc<Service>>;

    /// Tells what happened to a pod, or to one of its containers. Never waits.
    fn event(&self, pod: &Pod, container: Option<&str>, severity: Severity, reason: &str, message: &str);
}
