//! Calls of webhooks that are asked about requests.
//!
//! Connections are kept by server and authority. A webhook that is a Service is reached at one of its endpoints, which
//! are looked up for every call, and must have a certificate for `NAME.NAMESPACE.svc`.

mod connection;
mod endpoint;
mod place;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use parking_lot::Mutex;

use self::connection::Connections;
pub(crate) use self::connection::{dial, roots};
pub(crate) use self::endpoint::Endpoint;
use crate::verbs::Verbs;

/// The largest answer that is read.
const MAX_ANSWER: usize = 3 << 20;
/// Servers whose connections are kept; beyond it, all are closed and made anew when needed.
const MAX_SERVERS: usize = 1000;

/// The connections to webhooks.
#[derive(Default)]
pub(crate) struct Client {
    servers: Mutex<HashMap<Key, Server>>,
}

/// What a connection is good for: a server of this name, believed by this authority.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    authority: String,
    ca: Bytes,
}

#[derive(Clone)]
struct Server {
    connections: Connections,
    /// Where it is, if its name does not say that.
    places: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Client {
    /// Posts JSON to a webhook; gives back its answer, or says why there is none.
    pub(crate) async fn call(
        &self,
        verbs: &Verbs,
        endpoint: &Endpoint,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Bytes, String> {
        let url = endpoint.url(limit);
        let failed = |why: &str| format!("Post {url:?}: {why}");
        let server = self.server(endpoint).map_err(|why| failed(&why))?;
        if let Some(service) = endpoint.service() {
            let found = place::of_service(verbs, service).map_err(|why| failed(&why))?;
            *server.places.lock() = found;
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri(&url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, */*")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(&error.to_string()))?;
        let exchange = async {
            let answer = server.connections.request(request).await.map_err(|error| failed(&chain(&error)))?;
            let (status, body) = (answer.status(), answer.into_body());
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return format!("http: the answer is larger than {MAX_ANSWER} bytes");
                }
                error.to_string()
            })?;
            refused(status, &body.to_bytes())
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(failed("context deadline exceeded")),
        }
    }

    fn server(&self, endpoint: &Endpoint) -> Result<Server, String> {
        let key = Key { authority: endpoint.authority(), ca: endpoint.ca().clone() };
        let mut servers = self.servers.lock();
        if let Some(server) = servers.get(&key) {
            return Ok(server.clone());
        }
        let places = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let dialed = endpoint.service().is_some().then(|| places.clone());
        let server = Server { connections: connection::connections(endpoint.ca(), dialed)?, places };
        if servers.len() >= MAX_SERVERS {
            servers.clear();
        }
        servers.insert(key, server.clone());
        Ok(server)
    }
}

/// The answer, unless its status is none of a success.
fn refused(status: StatusCode, body: &Bytes) -> Result<Bytes, String> {
    if status.is_success() {
        return Ok(body.clone());
    }
    let text = String::from_utf8_lossy(body);
    Err(match status {
        StatusCode::BAD_REQUEST => "the server rejected our request for an unknown reason".to_owned(),
        StatusCode::UNAUTHORIZED => "the server has asked for the client to provide credentials".to_owned(),
        StatusCode::FORBIDDEN => format!("forbidden: {text}"),
        StatusCode::NOT_FOUND => "the server could not find the requested resource".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => {
            "the server does not allow this method on the requested resource".to_owned()
        }
        status if status.is_server_error() => {
            format!("an error on the server ({:?}) has prevented the request from succeeding", text.trim())
        }
        status => format!(
            "the server responded with the status code {} but did not return more information",
            status.as_u16()
        ),
    })
}

/// An error with all that it comes of.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}
