//! The service `kube-dns`: a virtual address that never changes, in front of the address that this server has.

use std::net::IpAddr;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;
use gantry_client::{Client, Error};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-dns";
/// The wait after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// What the service is made of.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The virtual address.
    pub cluster_ip: IpAddr,
    /// Where this server is reached.
    pub address: IpAddr,
    /// The port at that address.
    pub port: u16,
}

/// Makes the service, or brings it up to date, and tries again until that works or `stop`.
pub async fn run(client: Client, publication: Publication, stop: CancellationToken) {
    loop {
        match publish(&client, &publication).await {
            Ok(()) => {
                info!(cluster_ip = %publication.cluster_ip, address = %publication.address, "kube-dns is published");
                return;
            }
            Err(error) => warn!(%error, "kube-dns is not published yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Why the service could not be published.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Api(#[from] Error),
    #[error("the service cannot be described")]
    Object(#[from] serde_json::Error),
}

async fn publish(client: &Client, publication: &Publication) -> Result<(), PublishError> {
    ensure::<Service>(client, service(publication)).await?;
    ensure::<EndpointSlice>(client, slice(publication)).await
}

/// Creates the object, or replaces what differs.
async fn ensure<T: Resource + DeserializeOwned>(client: &Client, wanted: Value) -> Result<(), PublishError> {
    let wanted: T = serde_json::from_value(wanted)?;
    let api = client.api::<T>(NAMESPACE);
    match api.get_opt(wanted.name()).await? {
        None => match api.create(&wanted).await {
            // Another server was faster; it publishes its own address under the same name.
            Err(error) if error.is_already_exists() => Ok(()),
            other => Ok(other.map(drop)?),
        },
        Some(present) => {
            let mut next = wanted;
            next.meta_mut().resource_version.clone_from(&present.meta().resource_version);
            Ok(api.update(&next).await.map(drop)?)
        }
    }
}

fn service(publication: &Publication) -> Value {
    let port = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": 53, "targetPort": publication.port});
    json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"k8s-app": NAME, "kubernetes.io/name": "KubeDNS"}},
        "spec": {"clusterIP": publication.cluster_ip, "clusterIPs": [publication.cluster_ip],
            "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")]}
    })
}

fn slice(publication: &Publication) -> Value {
    let family = if publication.address.is_ipv4() { "IPv4" } else { "IPv6" };
    let port =
        |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": publication.port});
    json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"k8s-app": NAME, "kubernetes.io/service-name": NAME,
            "endpointslice.kubernetes.io/managed-by": "gantry-dns"}},
        "addressType": family,
        "endpoints": [{"addresses": [publication.address], "conditions": {"ready": true}}],
        "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")]
    })
}
