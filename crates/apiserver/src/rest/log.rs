//! A container's output, relayed from the kubelet.

use futures::StreamExt;
use gantry_api::core::v1::PodLogOptions;
use gantry_api::grpc::node::{ContainerRef, LogsRequest};
use gantry_api::validation;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::container;
use crate::nodes::{Nodes, relay_error};
use crate::status::ApiError;
use crate::verbs::{Target, Verbs};

/// The log of a pod's container as text.
pub(super) async fn answer(
    verbs: &Verbs,
    nodes: &Nodes,
    target: Target,
    options: PodLogOptions,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let errors = validation::log_options(&options);
    if !errors.is_empty() {
        return Err(ApiError::invalid_message("PodLogOptions", &target.name, &errors));
    }
    let pod = nodes.pod(verbs, &target.namespace, &target.name).await?;
    let container = container::choose(&pod, &options.container)?;
    if pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_empty()) {
        // Where nothing runs yet, nothing was said.
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    let mut node = nodes.of_node(verbs, &pod).await?;
    let container = ContainerRef {
        namespace: target.namespace,
        pod: target.name,
        container,
        pod_uid: pod.metadata.map(|meta| meta.uid).unwrap_or_default(),
    };
    let request = LogsRequest { container: Some(container), options: Some(options) };
    let pieces = node.logs(request).await.map_err(|error| relay_error(&error))?.into_inner();
    let frames =
        pieces.take_until(stop.cancelled_owned()).map(|piece| piece.map(|piece| Frame::data(piece.data)));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
