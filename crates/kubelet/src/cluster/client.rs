//! The cluster as the API server serves it.

mod follow;
mod patch;
mod shared;

use std::sync::Arc;

use async_trait::async_trait;
use gantry_api::authentication::v1::TokenRequest;
use gantry_api::core::v1::{ConfigMap, Pod, PodStatus, Secret, Service, ServiceAccount};
use gantry_client::recorder::{NORMAL, WARNING};
use gantry_client::{
    Client, DeleteOptions, Error as ClientError, Event, Informer, PatchType, Preconditions, Recorder,
    object_reference,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use shared::Shared;

use super::{Cluster, Error, PodEvent, Severity, Subscription};

/// Pod events that the kubelet may lag behind.
const BACKLOG: usize = 256;
/// The ConfigMap that nearly every pod refers to: the pods of a namespace follow it together.
const ROOT_CA: &str = "kube-root-ca.crt";

/// The cluster behind a client.
#[derive(Debug)]
pub struct ClientCluster {
    client: Client,
    node: String,
    recorder: Recorder,
    services: Informer<Service>,
    authorities: Shared<ConfigMap>,
    stop: CancellationToken,
}

impl ClientCluster {
    /// The cluster as the node `node` sees it, until `stop`.
    #[must_use]
    pub fn new(client: Client, node: &str, stop: CancellationToken) -> Self {
        let services = Informer::<Service>::builder(&client)
            .transform(|service| {
                service.status = None;
                if let Some(meta) = &mut service.metadata {
                    meta.managed_fields.clear();
                    meta.annotations.clear();
                }
            })
            .spawn(stop.clone());
        let recorder = Recorder::with_host(client.clone(), "kubelet", node);
        let authorities = Shared::default();
        Self { client, node: node.to_owned(), recorder, services, authorities, stop }
    }
}

#[async_trait]
impl Cluster for ClientCluster {
    fn pods(&self) -> mpsc::Receiver<PodEvent> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let informer = Informer::<Pod>::builder(&self.client)
            .field_selector(&format!("spec.nodeName={}", self.node))
            .transform(|pod| {
                if let Some(meta) = &mut pod.metadata {
                    meta.managed_fields.clear();
                }
            })
            .spawn(self.stop.clone());
        tokio::spawn(relay(informer, sender));
        receiver
    }

    async fn write_status(
        &self,
        pod: &Pod,
        previous: &PodStatus,
        status: &PodStatus,
    ) -> Result<Arc<Pod>, Error> {
        let (namespace, name, uid) = identity(pod);
        let what = format!("status of pod {namespace}/{name}");
        let failed = |reason: String| Error::Failed { what: what.clone(), reason };
        let patch = patch::status_patch(&uid, previous, status).map_err(|error| failed(error.to_string()))?;
        let pods = self.client.api::<Pod>(&namespace);
        match pods.patch_status(&name, PatchType::StrategicMerge, &patch).await {
            Ok(pod) => Ok(Arc::new(pod)),
            Err(error) if error.is_not_found() => Err(Error::Gone { what }),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    async fn delete_pod(&self, pod: &Pod) -> Result<(), Error> {
        let (namespace, name, uid) = identity(pod);
        let what = format!("pod {namespace}/{name}");
        let options = DeleteOptions {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(uid), resource_version: None }),
            ..DeleteOptions::default()
        };
        match self.client.api::<Pod>(&namespace).delete(&name, &options).await {
            Ok(_) => Ok(()),
            // Gone, or the name belongs to another pod now.
            Err(error) if error.is_not_found() || error.is_conflict() => Err(Error::Gone { what }),
            Err(error) => Err(Error::Failed { what, reason: reason(&error) }),
        }
    }

    fn config_map(&self, namespace: &str, name: &str) -> Subscription<ConfigMap> {
        let follow = || follow::follow(&self.client, namespace, name, &self.stop);
        if name == ROOT_CA { self.authorities.get(namespace, follow) } else { follow() }
    }

    fn secret(&self, namespace: &str, name: &str) -> Subscription<Secret> {
        follow::follow(&self.client, namespace, name, &self.stop)
    }

    async fn token(
        &self,
        namespace: &str,
        account: &str,
        request: TokenRequest,
    ) -> Result<TokenRequest, Error> {
        let accounts = self.client.api::<ServiceAccount>(namespace);
        accounts.create_token(account, &request).await.map_err(|error| Error::Failed {
            what: format!("token of service account {namespace}/{account}"),
            reason: error.to_string(),
        })
    }

    async fn services(&self, namespace: &str) -> Vec<Arc<Service>> {
        self.services.synced().await;
        let store = self.services.store();
        let mut found = store.list_namespace(namespace);
        if namespace != "default" {
            found.extend(store.get("default", "kubernetes"));
        }
        found
    }

    fn event(&self, pod: &Pod, container: Option<&str>, severity: Severity, reason: &str, message: &str) {
        let mut reference = object_reference(pod);
        if let Some(container) = container {
            let spec = pod.spec.as_ref();
            let init = spec.into_iter().flat_map(|spec| &spec.init_containers).any(|c| c.name == container);
            let ephemeral = spec.map(gantry_api::ephemeral::containers).unwrap_or_default();
            let list = match init {
                true => "initContainers",
                false if ephemeral.iter().any(|c| c.name == container) => "ephemeralContainers",
                false => "containers",
            };
            reference.field_path = format!("spec.{list}{{{container}}}");
        }
        let r#type = if severity == Severity::Warning { WARNING } else { NORMAL };
        self.recorder.event(&reference, r#type, reason, message);
    }
}

fn reason(error: &ClientError) -> String {
    error.to_string()
}

fn identity(pod: &Pod) -> (String, String, String) {
    let meta = pod.metadata.clone().unwrap_or_default();
    (meta.namespace, meta.name, meta.uid)
}

/// Turns the informer's events into the kubelet's.
async fn relay(informer: Informer<Pod>, events: mpsc::Sender<PodEvent>) {
    let mut subscription = informer.subscribe();
    if !informer.synced().await {
        return;
    }
    if events.send(PodEvent::Listed(informer.store().list())).await.is_err() {
        return;
    }
    while let Some(event) = subscription.next().await {
        let event = match event {
            Event::Added(pod) | Event::Modified { new: pod, .. } => PodEvent::Applied(pod),
            Event::Deleted(pod) => PodEvent::Deleted(pod),
            Event::Resync => PodEvent::Listed(informer.store().list()),
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}
