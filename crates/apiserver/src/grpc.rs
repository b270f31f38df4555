//! The gRPC face: `Resources`, the relay to the nodes, health and reflection.

mod mutate;
mod node;
mod object;
mod resources;
mod target;

use std::sync::Arc;

use gantry_api::grpc::api::resources_server::ResourcesServer;
use gantry_api::grpc::node::node_server::NodeServer;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::nodes::Nodes;
use crate::verbs::Verbs;

/// The largest message that a client may send: a body's limit, and what goes around it.
const MAX_MESSAGE: usize = crate::pipeline::MAX_BODY + (64 << 10);

/// What the gRPC services are made of.
#[derive(Clone)]
pub struct Services {
    /// The verbs.
    pub verbs: Arc<Verbs>,
    /// The way to the nodes.
    pub nodes: Nodes,
    /// Ends watches and streams when the server drains.
    pub stop: CancellationToken,
}

/// Why the services cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the embedded schema cannot be reflected")]
pub struct Error(#[from] tonic_reflection::server::Error);

/// The gRPC services by their paths.
pub fn routes(services: Services) -> Result<Routes, Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(gantry_api::schema::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (_, health) = tonic_health::server::health_reporter();
    let resources = resources::Service { verbs: Arc::clone(&services.verbs), stop: services.stop.clone() };
    let node = node::Relay { verbs: services.verbs, nodes: services.nodes, stop: services.stop };
    Ok(Routes::new(
        ResourcesServer::new(resources)
            .max_decoding_message_size(MAX_MESSAGE)
            // Lists of a large cluster are one message: whoever wants less of it asks for pages.
            .max_encoding_message_size(usize::MAX),
    )
    .add_service(NodeServer::new(node).max_decoding_message_size(MAX_MESSAGE))
    .add_service(health)
    .add_service(reflection().build_v1()?)
    .add_service(reflection().build_v1alpha()?)
    .prepare())
}
