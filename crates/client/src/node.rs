//! Logs and streams of containers, and connections to pods.

use futures::Stream;
use gantry_api::grpc::node::node_client::NodeClient as Rpc;
use gantry_api::grpc::node::{
    ExecRequest, ExecResponse, LogsRequest, LogsResponse, PortForwardRequest, PortForwardResponse,
};
use tonic::Streaming;

use crate::{Client, Error};

/// What nodes serve about their pods, relayed by the API server.
#[derive(Debug, Clone)]
pub struct NodeClient {
    client: Client,
}

impl NodeClient {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A container's output. The deadline is for its start.
    pub async fn logs(&self, request: LogsRequest) -> Result<NodeStream<LogsResponse>, Error> {
        let mut rpc = Rpc::new(self.client.channel());
        let request = self.client.request(request);
        self.start(async move { rpc.logs(request).await }).await
    }

    /// A command in a container. The first message must be the start. The deadline is for its start.
    pub async fn exec(
        &self,
        input: impl Stream<Item = ExecRequest> + Send + 'static,
    ) -> Result<NodeStream<ExecResponse>, Error> {
        let mut rpc = Rpc::new(self.client.channel());
        let request = self.client.request(input);
        self.start(async move { rpc.exec(request).await }).await
    }

    /// A running container's own streams. The first message must be the start. The deadline is for its start.
    pub async fn attach(
        &self,
        input: impl Stream<Item = ExecRequest> + Send + 'static,
    ) -> Result<NodeStream<ExecResponse>, Error> {
        let mut rpc = Rpc::new(self.client.channel());
        let request = self.client.request(input);
        self.start(async move { rpc.attach(request).await }).await
    }

    /// A connection to a port of a pod. The first message must be the start. The deadline is for its start.
    pub async fn port_forward(
        &self,
        input: impl Stream<Item = PortForwardRequest> + Send + 'static,
    ) -> Result<NodeStream<PortForwardResponse>, Error> {
        let mut rpc = Rpc::new(self.client.channel());
        let request = self.client.request(input);
        self.start(async move { rpc.port_forward(request).await }).await
    }

    async fn start<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<Streaming<T>>, tonic::Status>>,
    ) -> Result<NodeStream<T>, Error> {
        let limit = self.client.deadline();
        let response = tokio::time::timeout(limit, call)
            .await
            .map_err(|_| Error::Deadline { limit })?
            .map_err(|status| self.client.error(status))?;
        Ok(NodeStream { client: self.client.clone(), stream: response.into_inner() })
    }
}

/// Messages from a node.
pub struct NodeStream<T> {
    client: Client,
    stream: Streaming<T>,
}

impl<T> NodeStream<T> {
    /// The next message; `None` at the end. Waits as long as the container says nothing; the connection's keepalive
    /// notices a dead one.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        match self.stream.message().await {
            Ok(message) => message.map(Ok),
            Err(status) => Some(Err(self.client.error(status))),
        }
    }
}
