//! How large a request's body may be.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, EXPECT};
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use tonic::body::Body;

use super::class::is_proxy;
use super::middleware::{Middleware, Next, run};
use super::{Class, MAX_BODY, reply};
use crate::aggregation::Remotes;
use crate::status::ApiError;

/// How much of a body that is refused is read all the same, and for how long. Most clients send the whole body before
/// they look for an answer, and would find the connection closed instead of learning why.
const DISCARD: usize = 4 * MAX_BODY;
const DISCARD_LIMIT: Duration = Duration::from_secs(5);

/// Refuses a body that says it is too large, and cuts one off that does not. gRPC limits each message by itself.
#[derive(Clone)]
pub(super) struct BodyLimit(pub(super) Arc<Remotes>);

impl Middleware for BodyLimit {
    async fn call(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        // What goes through to somebody else is not held here.
        if class.grpc || is_proxy(request.uri().path()) || self.0.serves(request.uri().path()) {
            return run(next, request).await;
        }
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > MAX_BODY) {
            // A client that waits for a sign to go on has not sent anything yet.
            if !request.headers().contains_key(EXPECT) {
                discard(request.into_body()).await;
            }
            return reply::error(class.grpc, &ApiError::too_large(MAX_BODY));
        }
        run(next, request.map(|body| Body::new(Limited::new(body, MAX_BODY)))).await
    }
}

/// Reads a body away, up to the limits.
async fn discard(body: Body) {
    let mut body = Limited::new(body, DISCARD);
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // What is still to come is more than an answer is worth.
    let _ = tokio::time::timeout(DISCARD_LIMIT, all).await;
}
