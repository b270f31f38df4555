//! The way to the kubelets: which node a pod is on, and a connection to it with mutual TLS.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantry_api::Resource as _;
use gantry_api::core::v1::{Node, Pod};
use gantry_api::grpc::node::node_client::NodeClient;
use gantry_api::meta::v1::GetOptions;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::status::{ApiError, Reason};
use crate::verbs::{Target, Verbs};

/// Where a kubelet listens that does not say.
const KUBELET_PORT: i32 = 10250;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Connections that are kept; beyond it, all are closed and made anew when needed.
const MAX_CHANNELS: usize = 5000;

/// The files for TLS to kubelets, each PEM.
#[derive(Debug, Clone, Default)]
pub struct NodeTlsFiles {
    /// `--kubelet-certificate-authority`.
    pub authority: Option<PathBuf>,
    /// `--kubelet-client-certificate`.
    pub certificate: Option<PathBuf>,
    /// `--kubelet-client-key`.
    pub key: Option<PathBuf>,
}

/// A file for TLS to kubelets cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {}: cannot be read", path.display())]
pub struct NodeTlsError {
    flag: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// Connections to kubelets, made when first needed and kept.
#[derive(Clone)]
pub struct Nodes {
    tls: Option<ClientTlsConfig>,
    channels: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Nodes {
    /// Reads the files. Without an authority no kubelet is believed, and logs and exec are not served.
    pub fn new(files: &NodeTlsFiles) -> Result<Self, NodeTlsError> {
        let tls = match &files.authority {
            None => None,
            Some(authority) => {
                let authority = read("--kubelet-certificate-authority", authority)?;
                let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
                if let (Some(certificate), Some(key)) = (&files.certificate, &files.key) {
                    let certificate = read("--kubelet-client-certificate", certificate)?;
                    let key = read("--kubelet-client-key", key)?;
                    tls = tls.identity(Identity::from_pem(certificate, key));
                }
                Some(tls)
            }
        };
        Ok(Self { tls, channels: Arc::default() })
    }

    /// A client of the kubelet that runs the pod, and the pod.
    pub(crate) async fn of_pod(
        &self,
        verbs: &Verbs,
        namespace: &str,
        name: &str,
    ) -> Result<(NodeClient<Channel>, Pod), ApiError> {
        let pod = self.pod(verbs, namespace, name).await?;
        Ok((self.of_node(verbs, &pod).await?, pod))
    }

    /// The pod of this name.
    pub(crate) async fn pod(&self, verbs: &Verbs, namespace: &str, name: &str) -> Result<Pod, ApiError> {
        get(verbs, namespace, name).await
    }

    /// A client of the kubelet that runs the pod.
    pub(crate) async fn of_node(&self, verbs: &Verbs, pod: &Pod) -> Result<NodeClient<Channel>, ApiError> {
        let node_name = pod.spec.as_ref().map(|spec| spec.node_name.as_str()).unwrap_or_default();
        if node_name.is_empty() {
            return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", pod.name())));
        }
        let node: Node = get(verbs, "", node_name).await?;
        let address = address(&node).ok_or_else(|| {
            ApiError::unavailable(format!("node {node_name:?} has not told its InternalIP yet"))
        })?;
        self.client(&address)
    }

    fn client(&self, address: &str) -> Result<NodeClient<Channel>, ApiError> {
        let tls = self.tls.clone().ok_or_else(|| {
            ApiError::unavailable(
                "no connections to nodes: the API server was started without --kubelet-certificate-authority",
            )
        })?;
        // A panic while the map is held cannot leave it half changed.
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(NodeClient::new(channel.clone()));
        }
        let endpoint = Endpoint::from_shared(format!("https://{address}"))
            .and_then(|endpoint| endpoint.tls_config(tls))
            .map_err(|error| ApiError::internal(format_args!("no connection to {address}: {error}")))?
            .connect_timeout(CONNECT_LIMIT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(false);
        let channel = endpoint.connect_lazy();
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(NodeClient::new(channel))
    }
}

/// What a kubelet's failure means to the client.
pub(crate) fn relay_error(error: &tonic::Status) -> ApiError {
    let reason = match error.code() {
        tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition => Reason::BadRequest,
        tonic::Code::NotFound => Reason::NotFound,
        tonic::Code::Unavailable => Reason::ServiceUnavailable,
        tonic::Code::DeadlineExceeded => Reason::Timeout,
        _ => Reason::InternalError,
    };
    ApiError::new(reason, error.message())
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, NodeTlsError> {
    std::fs::read(path).map_err(|source| NodeTlsError { flag, path: path.to_owned(), source })
}

async fn get<T: gantry_api::Resource>(verbs: &Verbs, namespace: &str, name: &str) -> Result<T, ApiError> {
    let target = Target { kind: T::kind(), namespace: namespace.to_owned(), name: name.to_owned() };
    let entry = verbs.get(&target, &GetOptions::default()).await?;
    T::decode(entry.bytes()).map_err(ApiError::internal)
}

/// `IP:port` of a node's kubelet.
fn address(node: &Node) -> Option<String> {
    let status = node.status.as_ref()?;
    let ip = status.addresses.iter().find(|address| address.r#type == "InternalIP")?;
    let port = status
        .daemon_endpoints
        .as_ref()
        .and_then(|endpoints| endpoints.kubelet_endpoint.as_ref())
        .map_or(KUBELET_PORT, |endpoint| endpoint.port);
    let port = if port == 0 { KUBELET_PORT } else { port };
    if ip.address.contains(':') {
        Some(format!("[{}]:{port}", ip.address))
    } else {
        Some(format!("{}:{port}", ip.address))
    }
}
