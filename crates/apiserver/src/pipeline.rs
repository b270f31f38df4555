//! What every request passes, gRPC and REST alike, before its handler: see [`wrap`].

mod authentication;
mod body_limit;
mod class;
mod cut_off;
mod deadline;
mod flow;
mod front_proxy;
mod head;
mod impersonation;
mod in_flight;
mod middleware;
mod panic;
mod peek;
mod reply;
mod trace;
mod user;
mod warnings;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tonic::body::Body;
use tower::{Service, ServiceBuilder};

pub(crate) use authentication::Authentication;
pub(crate) use class::{Class, is_grpc, is_health};
pub(crate) use flow::Concurrency;
pub(crate) use front_proxy::{FrontProxies, Peer, RequestHeaders};
pub(crate) use in_flight::InFlight;
pub(crate) use reply::{error as error_reply, status_body};
pub use user::User;
pub(crate) use user::{
    ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, as_service_account, service_account, service_account_groups,
};

use middleware::layer;

use crate::aggregation::Remotes;

/// The largest body of a request: as etcd's limit allows, and upstream's.
pub const MAX_BODY: usize = 3 << 20;

/// Puts the pipeline around a handler. In order: request id, trace and metrics; panics become 500; who asks, and in whose name; how long it may
/// take, at most `limit`; how much may run at once; how large it may be.
pub(crate) fn wrap<S>(
    handler: S,
    authentication: Authentication,
    concurrency: Concurrency,
    limit: Duration,
    remotes: Arc<Remotes>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    ServiceBuilder::new()
        .layer(layer(head::Head))
        .layer(layer(trace::Trace))
        .layer(layer(panic::CatchPanic))
        .layer(layer(authentication))
        .layer(layer(impersonation::Impersonation))
        .layer(layer(deadline::Deadline::new(limit)))
        .layer(layer(concurrency))
        .layer(layer(body_limit::BodyLimit(remotes)))
        .service(handler)
}
