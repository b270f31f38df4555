//! The relay to kubelets: the same service as theirs, with the pod named and the user authorized first.

use std::sync::Arc;

use std::future::ready;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use gantry_api::grpc::node::node_server::Node;
use gantry_api::grpc::node::{
    ContainerRef, ExecRequest, ExecResponse, LogsRequest, LogsResponse, PortForwardRequest,
    PortForwardResponse, exec_request::Message, port_forward_request::Message as Forward,
};
use gantry_api::validation;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::target::user;
use crate::authorization::{Attributes, Requester, authorize};
use crate::nodes::Nodes;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// See [`super::Services`].
#[derive(Clone)]
pub(super) struct Relay {
    pub(super) verbs: Arc<Verbs>,
    pub(super) nodes: Nodes,
    pub(super) stop: CancellationToken,
}

/// How long a client may take to say what it wants.
const START_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

#[tonic::async_trait]
impl Node for Relay {
    type LogsStream = BoxStream<'static, Result<LogsResponse, Status>>;

    async fn logs(&self, request: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let user = user(&request)?;
        let mut request = request.into_inner();
        let container = request.container.get_or_insert_default();
        allow(&user, "get", "log", container)?;
        let errors = request.options.as_ref().map(validation::log_options).unwrap_or_default();
        if !errors.is_empty() {
            return Err(ApiError::invalid_message("PodLogOptions", &container.pod, &errors).into());
        }
        let (mut node, pod) = self.nodes.of_pod(&self.verbs, &container.namespace, &container.pod).await?;
        container.pod_uid = pod.metadata.map(|meta| meta.uid).unwrap_or_default();
        let logs = node.logs(request).await?.into_inner();
        Ok(Response::new(logs.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    type ExecStream = BoxStream<'static, Result<ExecResponse, Status>>;

    async fn exec(
        &self,
        request: Request<Streaming<ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let user = user(&request)?;
        let mut input = request.into_inner();
        let Some(Message::Start(mut start)) = first(&mut input).await?.message else {
            return Err(ApiError::bad_request("the first message must be `start`").into());
        };
        let container = start.container.get_or_insert_default();
        allow(&user, "create", "exec", container)?;
        let (mut node, pod) = self.nodes.of_pod(&self.verbs, &container.namespace, &container.pod).await?;
        container.pod_uid = pod.metadata.map(|meta| meta.uid).unwrap_or_default();

        let start = ExecRequest { message: Some(Message::Start(start)) };
        let output = node.exec(follow(start, input)).await?.into_inner();
        Ok(Response::new(output.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    type AttachStream = BoxStream<'static, Result<ExecResponse, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<ExecRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let user = user(&request)?;
        let mut input = request.into_inner();
        let Some(Message::Attach(mut start)) = first(&mut input).await?.message else {
            return Err(ApiError::bad_request("the first message must be `attach`").into());
        };
        let container = start.container.get_or_insert_default();
        allow(&user, "create", "attach", container)?;
        let (mut node, pod) = self.nodes.of_pod(&self.verbs, &container.namespace, &container.pod).await?;
        container.pod_uid = pod.metadata.map(|meta| meta.uid).unwrap_or_default();
        let start = ExecRequest { message: Some(Message::Attach(start)) };
        let output = node.attach(follow(start, input)).await?.into_inner();
        Ok(Response::new(output.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    type PortForwardStream = BoxStream<'static, Result<PortForwardResponse, Status>>;

    async fn port_forward(
        &self,
        request: Request<Streaming<PortForwardRequest>>,
    ) -> Result<Response<Self::PortForwardStream>, Status> {
        let user = user(&request)?;
        let mut input = request.into_inner();
        let Some(Forward::Start(mut start)) = first(&mut input).await?.message else {
            return Err(ApiError::bad_request("the first message must be `start`").into());
        };
        let container =
            ContainerRef { namespace: start.namespace.clone(), pod: start.pod.clone(), ..Default::default() };
        allow(&user, "create", "portforward", &container)?;
        let (mut node, pod) = self.nodes.of_pod(&self.verbs, &start.namespace, &start.pod).await?;
        start.pod_uid = pod.metadata.map(|meta| meta.uid).unwrap_or_default();
        let start = PortForwardRequest { message: Some(Forward::Start(start)) };
        let output = node.port_forward(follow(start, input)).await?.into_inner();
        Ok(Response::new(output.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }
}

/// The first message of a stream, which says what it is about.
async fn first<T: Default>(input: &mut Streaming<T>) -> Result<T, Status> {
    let first = tokio::time::timeout(START_LIMIT, input.message()).await.map_err(|_| {
        Status::from(ApiError::timeout(format!("the first message did not come within {START_LIMIT:?}")))
    })??;
    Ok(first.unwrap_or_default())
}

/// The whole stream again. An error of the client's ends it; the kubelet then ends what it began.
fn follow<T: Send + 'static>(first: T, rest: Streaming<T>) -> impl Stream<Item = T> + Send + 'static {
    let rest = rest.take_while(|message| ready(message.is_ok())).filter_map(|message| ready(message.ok()));
    futures::stream::iter([first]).chain(rest)
}

fn allow(user: &Requester, verb: &str, subresource: &str, container: &ContainerRef) -> Result<(), ApiError> {
    let attributes = Attributes::Resource {
        verb,
        group: "",
        resource: "pods",
        subresource,
        namespace: &container.namespace,
        name: &container.pod,
    };
    authorize(user, &attributes)?;
    if container.namespace.is_empty() || container.pod.is_empty() {
        return Err(ApiError::bad_request("container.namespace and container.pod are required"));
    }
    Ok(())
}
