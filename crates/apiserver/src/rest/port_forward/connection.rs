//! One connection to a port of a pod, on the node's side.

use bytes::Bytes;
use futures::StreamExt;
use gantry_api::grpc::node::node_client::NodeClient;
use gantry_api::grpc::node::port_forward_request::Message as Ask;
use gantry_api::grpc::node::{PortForwardRequest, PortForwardResponse, PortForwardStart};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::super::upgrade::START_LIMIT;

/// Pieces that may wait for the node.
const BACKLOG: usize = 8;

/// The pod, and the way to it.
#[derive(Clone)]
pub(super) struct Pod {
    pub(super) node: NodeClient<Channel>,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

impl Pod {
    /// Connects to a port, or says why not.
    pub(super) async fn connect(&self, port: u16) -> Result<(Sender, Receiver), String> {
        let start = PortForwardStart {
            namespace: self.namespace.clone(),
            pod: self.name.clone(),
            pod_uid: self.uid.clone(),
            port: port.into(),
        };
        let first = PortForwardRequest { message: Some(Ask::Start(start)) };
        let (asks, receiver) = mpsc::channel(BACKLOG);
        let requests = futures::stream::iter([first]).chain(ReceiverStream::new(receiver));
        let mut node = self.node.clone();
        let why = match timeout(START_LIMIT, node.port_forward(requests)).await {
            Ok(Ok(told)) => return Ok((Sender(asks), Receiver(told.into_inner()))),
            Ok(Err(error)) => error.message().to_owned(),
            Err(_) => format!("the node did not answer within {START_LIMIT:?}"),
        };
        Err(self.failure(port, &why))
    }

    /// What a client is told of a connection that failed.
    pub(super) fn failure(&self, port: u16, why: &str) -> String {
        format!("error forwarding port {port} to pod {}, uid {}: {why}", self.name, self.uid)
    }
}

/// Into the pod. Dropping it says that nothing follows.
pub(super) struct Sender(mpsc::Sender<PortForwardRequest>);

impl Sender {
    /// Sends data; `false` where the connection is gone.
    pub(super) async fn send(&self, data: Bytes) -> bool {
        self.0.send(PortForwardRequest { message: Some(Ask::Data(data)) }).await.is_ok()
    }
}

/// Out of the pod.
pub(super) struct Receiver(Streaming<PortForwardResponse>);

impl Receiver {
    /// The next piece; none once the pod has nothing more.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, tonic::Status> {
        Ok(self.0.message().await?.map(|response| response.data))
    }
}
