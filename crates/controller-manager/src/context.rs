//! What controllers share: the client and one informer per kind.

use std::sync::Arc;

use gantry_api::apps::v1::{Deployment, ReplicaSet};
use gantry_api::coordination::v1::Lease;
use gantry_api::core::v1::{Endpoints, Namespace, Node, PersistentVolumeClaim, Service};
use gantry_api::discovery::v1::EndpointSlice;
use gantry_api::policy::v1::PodDisruptionBudget;
use gantry_api::{Resource, selector};
use gantry_client::{Client, Informer, Recorder, WorkQueue, Writer};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::pod::Pod;
use crate::{Options, owned};

/// Why a reconciliation failed; it comes again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server refused, or cannot be reached.
    #[error(transparent)]
    Client(#[from] gantry_client::Error),
    /// A selector cannot be understood.
    #[error("the selector cannot be understood")]
    Selector(#[from] selector::SelectorError),
    /// What the API server answered is not an object of the kind.
    #[error("the API server answered with something that is not a {kind}")]
    Decode {
        /// The kind.
        kind: &'static str,
        /// What does not fit.
        source: prost::DecodeError,
    },
    /// Some of several writes failed; the first one's error stands for all.
    #[error("{failed} of {total} writes failed")]
    Writes {
        /// How many failed.
        failed: usize,
        /// How many there were.
        total: usize,
        /// Why the first one did.
        source: gantry_client::Error,
    },
}

/// What controllers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// The flags.
    pub options: Arc<Options>,
    /// The client.
    pub client: Client,
    /// Pipelined writes.
    pub writer: Writer,
    /// The end of all work.
    pub stop: CancellationToken,
    /// What is read of pods, by controller, by node.
    pub pods: Informer<Pod>,
    /// Deployments.
    pub deployments: Informer<Deployment>,
    /// ReplicaSets, by controller.
    pub replica_sets: Informer<ReplicaSet>,
    /// Namespaces.
    pub namespaces: Informer<Namespace>,
    /// Services.
    pub services: Informer<Service>,
    /// EndpointSlices, by service.
    pub endpoint_slices: Informer<EndpointSlice>,
    /// Endpoints, the form of endpoint slices that old programs read.
    pub endpoints: Informer<Endpoints>,
    /// Nodes.
    pub nodes: Informer<Node>,
    /// The heartbeats of nodes.
    pub leases: Informer<Lease>,
    /// Claims of storage.
    pub claims: Informer<PersistentVolumeClaim>,
    /// The namespaces in which something was deleted or ended: their quotas are counted again.
    pub released: WorkQueue<String>,
    /// Disruption budgets.
    pub budgets: Informer<PodDisruptionBudget>,
    /// What verifies the API server's certificate (PEM), for pods.
    pub root_ca: Option<Arc<str>>,
}

/// The index of pods by node.
pub(crate) const BY_NODE: &str = "node";
/// The index of slices by service.
pub(crate) const BY_SERVICE: &str = "service";
/// Where nodes keep their leases.
pub(crate) const NODE_LEASES: &str = "kube-node-lease";

impl Context {
    /// Starts the informers.
    #[must_use]
    pub fn start(
        options: Options,
        client: Client,
        root_ca: Option<Arc<str>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            options: Arc::new(options),
            writer: client.writer(),
            pods: Informer::<Pod>::partial(&client, Pod::kind())
                .transform(Pod::trim)
                .index(owned::BY_CONTROLLER, owned::index)
                .index(BY_NODE, |pod| {
                    let node = pod.spec.as_ref().map_or("", |spec| &spec.node_name);
                    if node.is_empty() { Vec::new() } else { vec![node.to_owned()] }
                })
                .spawn(stop.clone()),
            deployments: lean(&client).spawn(stop.clone()),
            replica_sets: lean::<ReplicaSet>(&client)
                .index(owned::BY_CONTROLLER, owned::index)
                .spawn(stop.clone()),
            namespaces: lean(&client).spawn(stop.clone()),
            services: lean(&client).spawn(stop.clone()),
            endpoint_slices: lean::<EndpointSlice>(&client)
                .index(BY_SERVICE, |slice| {
                    let service = slice.meta().labels.get(crate::endpointslice::SERVICE_NAME);
                    service.map(|name| format!("{}/{name}", slice.namespace())).into_iter().collect()
                })
                .spawn(stop.clone()),
            endpoints: lean(&client).spawn(stop.clone()),
            nodes: lean(&client).spawn(stop.clone()),
            leases: lean::<Lease>(&client).namespace(NODE_LEASES).spawn(stop.clone()),
            claims: lean(&client).spawn(stop.clone()),
            released: WorkQueue::new("resource_quota"),
            budgets: lean(&client).spawn(stop.clone()),
            root_ca,
            client,
            stop,
        }
    }

    /// What the informers have not listed yet.
    #[must_use]
    pub fn not_synced(&self) -> Vec<&'static str> {
        let informers = [
            ("pods", self.pods.has_synced()),
            ("deployments", self.deployments.has_synced()),
            ("replicasets", self.replica_sets.has_synced()),
            ("namespaces", self.namespaces.has_synced()),
            ("services", self.services.has_synced()),
            ("endpointslices", self.endpoint_slices.has_synced()),
            ("endpoints", self.endpoints.has_synced()),
            ("nodes", self.nodes.has_synced()),
            ("leases", self.leases.has_synced()),
            ("persistentvolumeclaims", self.claims.has_synced()),
            ("poddisruptionbudgets", self.budgets.has_synced()),
        ];
        informers.into_iter().filter(|(_, synced)| !synced).map(|(name, _)| name).collect()
    }

    /// A recorder for a controller.
    #[must_use]
    pub fn recorder(&self, controller: &str) -> Recorder {
        Recorder::new(self.client.clone(), controller)
    }
}

/// An informer without what no controller reads: field ownership is often larger than the object.
fn lean<T: Resource>(client: &Client) -> gantry_client::InformerBuilder<T> {
    Informer::builder(client).transform(|object: &mut T| object.meta_mut().managed_fields.clear())
}
