//! How large a request's body may be.

use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body_util::Limited;
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};
use super::{Class, MAX_BODY, reply};
use crate::status::ApiError;

/// Refuses a body that says it is too large, and cuts one off that does not. gRPC limits each message by itself.
#[derive(Clone)]
pub(super) struct BodyLimit;

impl Middleware for BodyLimit {
    async fn call(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        if class.grpc {
            return run(next, request).await;
        }
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > MAX_BODY) {
            return reply::error(class.grpc, &ApiError::too_large(MAX_BODY));
        }
        run(next, request.map(|body| Body::new(Limited::new(body, MAX_BODY)))).await
    }
}
