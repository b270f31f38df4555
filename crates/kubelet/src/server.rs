//! What the API server asks of a node: logs, commands and connections, over gRPC with mutual TLS.

mod attach;
mod exec;
mod logs;
mod port_forward;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use gantry_api::core::v1::Pod;
use gantry_api::grpc::node::node_server::{Node, NodeServer};
use gantry_api::grpc::node::{
    ContainerRef, ExecRequest, ExecResponse, LogsRequest, LogsResponse, PortForwardRequest,
    PortForwardResponse,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::host::Host;
use crate::options::TlsFiles;
use crate::pod::actor::{ContainerView, Handle, PodView};
use crate::pods::Directory;

/// Names the container that a request without one means.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Why the server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate or key cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificate and key do not fit together, or cannot be used at all.
    #[error("TLS: {0}")]
    Tls(String),
    /// The port cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// The server, bound to its port.
pub struct Server {
    listener: TcpListener,
    tls: tokio_rustls::TlsAcceptor,
}

impl Server {
    /// Binds the port and reads the files.
    pub async fn bind(address: SocketAddr, files: &TlsFiles) -> Result<Self, Error> {
        let tls = tls::acceptor(files)?;
        let listener =
            TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        Ok(Self { listener, tls })
    }

    /// The address that is served.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`.
    pub async fn run(self, host: Arc<Host>, pods: Directory, stop: CancellationToken) {
        let service = Service { host, pods, stop: stop.clone() };
        let incoming = tls::incoming(TcpIncoming::from(self.listener).with_nodelay(Some(true)), self.tls);
        let served = tonic::transport::Server::builder()
            .add_service(NodeServer::new(service))
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the kubelet's server ended");
        }
    }
}

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers the API server.
#[derive(Clone)]
pub(crate) struct Service {
    host: Arc<Host>,
    pods: Directory,
    stop: CancellationToken,
}

/// The container that a request is about.
struct Found {
    handle: Handle,
    pod: Arc<Pod>,
    name: String,
    view: ContainerView,
}

impl Service {
    fn find(&self, wanted: Option<ContainerRef>) -> Result<Found, Status> {
        let wanted = wanted.ok_or_else(|| Status::invalid_argument("the request names no container"))?;
        let (handle, PodView { pod, containers }) =
            self.find_pod(&wanted.namespace, &wanted.pod, &wanted.pod_uid)?;
        let name = choose(&pod, &wanted.container)?;
        let view = containers.get(&name).cloned().unwrap_or_default();
        Ok(Found { handle, pod, name, view })
    }
}

impl Service {
    /// A pod of this node; with a uid, no other one of its name.
    fn find_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<(Handle, PodView), Status> {
        let missing = || Status::not_found(format!("pod {namespace}/{name} is not on this node"));
        let handle = self.pods.get(namespace, name).ok_or_else(missing)?;
        let view = handle.view().borrow().clone();
        let found = view.pod.metadata.as_ref().map_or("", |meta| meta.uid.as_str());
        if !uid.is_empty() && uid != found {
            return Err(missing());
        }
        Ok((handle, view))
    }
}

/// The container that is meant: the named one, the annotated one, or the only one.
fn choose(pod: &Pod, wanted: &str) -> Result<String, Status> {
    let (Some(meta), Some(spec)) = (&pod.metadata, &pod.spec) else {
        return Err(Status::internal("the pod has no specification"));
    };
    let names: Vec<&str> = spec.containers.iter().map(|c| c.name.as_str()).collect();
    if !wanted.is_empty() {
        let ephemeral = gantry_api::ephemeral::containers(spec);
        let mut others = spec.init_containers.iter().chain(&ephemeral);
        let known = names.contains(&wanted) || others.any(|c| c.name == wanted);
        let missing =
            || Status::invalid_argument(format!("container {wanted} is not valid for pod {}", meta.name));
        return if known { Ok(wanted.to_owned()) } else { Err(missing()) };
    }
    if let Some(name) = meta.annotations.get(DEFAULT_CONTAINER).filter(|name| names.contains(&name.as_str()))
    {
        return Ok(name.clone());
    }
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        _ => Err(Status::invalid_argument(format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            meta.name,
            names.join(" ")
        ))),
    }
}

#[tonic::async_trait]
impl Node for Service {
    type LogsStream = Answers<LogsResponse>;

    async fn logs(&self, request: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let request = request.into_inner();
        let mut options = request.options.unwrap_or_default();
        let mut wanted = request.container.unwrap_or_default();
        if wanted.container.is_empty() {
            wanted.container = std::mem::take(&mut options.container);
        }
        let found = self.find(Some(wanted))?;
        logs::serve(self, found, options).map(Response::new)
    }

    type ExecStream = Answers<ExecResponse>;

    async fn exec(
        &self,
        request: Request<Streaming<ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        exec::serve(self, request.into_inner()).await.map(Response::new)
    }

    type AttachStream = Answers<ExecResponse>;

    async fn attach(
        &self,
        request: Request<Streaming<ExecRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        attach::serve(self, request.into_inner()).await.map(Response::new)
    }

    type PortForwardStream = Answers<PortForwardResponse>;

    async fn port_forward(
        &self,
        request: Request<Streaming<PortForwardRequest>>,
    ) -> Result<Response<Self::PortForwardStream>, Status> {
        port_forward::serve(self, request.into_inner()).await.map(Response::new)
    }
}
