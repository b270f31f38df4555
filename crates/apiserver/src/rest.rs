//! The REST face: Kubernetes' paths, media types and framing over the verbs.

mod accept;
mod asked;
mod body;
mod connect;
mod container;
pub mod decoders;
mod documents;
mod encode;
mod exec;
mod list;
mod log;
mod openapi;
mod path;
mod port_forward;
mod proxy;
mod query;
mod remote;
mod resource;
mod type_meta;
mod upgrade;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use gantry_api::meta::v1::StatusDetails;
use gantry_telemetry::health::Checks;
use http::header::ACCEPT;
use http::{Method, Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use self::accept::Accept;
pub(crate) use self::asked::asked;
use self::path::Route;
use self::query::Query;
use crate::aggregation::Remotes;
use crate::authorization::{Attributes, Requester, authorize};
use crate::flow::Flow;
use crate::nodes::Nodes;
use crate::status::{ApiError, Reason};
use crate::verbs::Verbs;

/// Answers REST requests.
#[derive(Clone)]
pub(crate) struct Rest(Arc<Inner>);

struct Inner {
    verbs: Arc<Verbs>,
    nodes: Nodes,
    remotes: Arc<Remotes>,
    checks: Checks,
    flow: Option<Arc<Flow>>,
    /// Where others find the keys that verify tokens; empty for here.
    keys: String,
    stop: CancellationToken,
}

impl Rest {
    pub(crate) fn new(
        verbs: Arc<Verbs>,
        nodes: Nodes,
        remotes: Arc<Remotes>,
        checks: Checks,
        flow: Option<Arc<Flow>>,
        keys: String,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner { verbs, nodes, remotes, checks, flow, keys, stop }))
    }

    /// Answers a request; an error is an answer too.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let accept = request.headers().get(ACCEPT).cloned();
        match self.0.handle(request).await {
            Ok(response) => response,
            Err(error) => encode::error(accept, &error),
        }
    }
}

impl Inner {
    async fn handle(&self, request: Request<Body>) -> Result<Response<Body>, ApiError> {
        let user = request.extensions().get::<Requester>().cloned();
        let user = user.ok_or_else(|| ApiError::internal("the request has not passed authentication"))?;
        let path = request.uri().path().to_owned();
        if let Some(remote) = self.remotes.of_path(&path) {
            return remote::answer(&self.remotes, &remote, &user, request, self.stop.clone()).await;
        }
        let route = match path::parse(&path) {
            Ok(route) => route,
            Err(error) => {
                allow_path(&user, request.method(), &path)?;
                return if error.reason() == Reason::NotFound { Ok(path::no_page()) } else { Err(error) };
            }
        };
        if let Route::Resource(path) = route {
            return resource::handle(self, &user, path, request).await;
        }
        allow_path(&user, request.method(), &path)?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(method_not_allowed());
        }
        if let Route::OpenApi(rest) = &route
            && let Some(path) = rest.strip_prefix("v3/")
            && self.remotes.merged().is_some_and(|merged| merged.has_openapi(path))
            && let Some(remote) = self.remotes.of_path(path)
        {
            return remote::document(&self.remotes, &remote, request, self.stop.clone()).await;
        }
        let query = request.uri().query().unwrap_or_default();
        let (headers, parameters) = (request.headers(), Query::parse(query));
        let catalog = self.verbs.catalog();
        match &route {
            Route::Health { ready, check } => {
                documents::health(&self.checks, *ready, check.as_deref(), query).await
            }
            Route::Metrics => documents::metrics(),
            Route::Flow(table) => Ok(documents::flow(self.flow.as_deref(), table, query)),
            Route::OpenId | Route::Keys => {
                let issuer = user.authenticator().issuer().map(AsRef::as_ref);
                let address: SocketAddr = self.verbs.settings().advertise.into();
                Ok(documents::openid(issuer, matches!(route, Route::Keys), &self.keys, address))
            }
            Route::OpenApi(rest) => {
                let merged = self.remotes.merged();
                openapi::answer(catalog.documents(), merged, rest, headers, &parameters).await
            }
            Route::Version => documents::version(&Accept::of(headers, Some(true))?),
            route => {
                let (kinds, merged) = (catalog.kinds(), self.remotes.merged());
                if let Some(document) = documents::aggregated(kinds, merged.as_deref(), route, headers) {
                    return Ok(document);
                }
                let accept = Accept::of(headers, parameters.pretty())?;
                let address = self.verbs.settings().advertise;
                documents::discovery(kinds, merged.as_deref(), route, &accept, address.into())
            }
        }
    }
}

/// The path has no such method.
fn method_not_allowed() -> ApiError {
    let message = "the server does not allow this method on the requested resource";
    ApiError::new(Reason::MethodNotAllowed, message).with_details(StatusDetails::default())
}

fn allow_path(user: &Requester, method: &Method, path: &str) -> Result<(), ApiError> {
    let verb = method.as_str().to_ascii_lowercase();
    authorize(user, &Attributes::Path { verb: &verb, path })
}
