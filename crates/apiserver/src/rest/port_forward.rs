//! Connections to a pod's ports: the client's streams on one side, the kubelet's connections on the other.

mod channels;
mod connection;
mod pairs;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use self::connection::Pod;
use super::upgrade::{Connection, Spdy, Tunnel, Wanted, WebSocket, has, wanted};
use crate::nodes::Nodes;
use crate::status::ApiError;
use crate::verbs::{Target, Verbs};

/// What the streams of a SPDY connection mean.
const PROTOCOL: &str = "portforward.k8s.io";
/// The same inside of a WebSocket.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// How the client wants to go on.
enum Opening {
    /// Streams as the client opens them.
    Spdy(Spdy),
    /// The same inside of a WebSocket.
    Tunnel(WebSocket),
    /// Two channels for each of the ports that the request names.
    Channels(WebSocket),
}

/// Answers with the upgrade; what fails before it is an ordinary error.
pub(super) async fn answer(
    verbs: &Verbs,
    nodes: &Nodes,
    target: Target,
    ports: Vec<u16>,
    mut request: Request<Body>,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let found = nodes.pod(verbs, &target.namespace, &target.name).await?;
    let headers = request.headers();
    let opening = match wanted(headers)? {
        Wanted::Spdy => match Spdy::read(headers, &[PROTOCOL]) {
            Ok(opening) => Opening::Spdy(opening),
            Err(refused) => return refused.answer(),
        },
        Wanted::WebSocket => {
            if has(headers, &SEC_WEBSOCKET_PROTOCOL, TUNNEL) {
                Opening::Tunnel(WebSocket::read(headers, &[TUNNEL])?)
            } else {
                channels::check(&ports)?;
                Opening::Channels(WebSocket::read(headers, &channels::PROTOCOLS)?)
            }
        }
    };
    let connection = Connection::of(&mut request)?;
    let node = nodes.of_node(verbs, &found).await?;
    let uid = found.metadata.map(|meta| meta.uid).unwrap_or_default();
    let pod = Pod { node, namespace: target.namespace, name: target.name, uid };
    let response = match &opening {
        Opening::Spdy(opening) => opening.response(),
        Opening::Tunnel(opening) | Opening::Channels(opening) => opening.response()?,
    };
    tokio::spawn(async move {
        let Some(connection) = connection.take().await else { return };
        match opening {
            Opening::Spdy(_) => pairs::run(pod, connection, stop).await,
            Opening::Tunnel(_) => {
                let socket = WebSocket::open(connection).await;
                pairs::run(pod, Tunnel::new(socket), stop).await;
            }
            Opening::Channels(opening) => {
                let socket = WebSocket::open(connection).await;
                channels::run(pod, &ports, opening.protocol, socket, stop).await;
            }
        }
    });
    Ok(response)
}
