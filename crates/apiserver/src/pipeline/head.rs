//! HEAD: the head of what GET answers.

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};

/// Handlers answer HEAD as they answer GET; the body is taken away here, as HTTP/2 does not do that by itself.
#[derive(Clone)]
pub(super) struct Head;

impl Middleware for Head {
    async fn call(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        if request.method() != Method::HEAD {
            return run(next, request).await;
        }
        let mut response = run(next, request).await;
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
        }
        response.map(|_| Body::empty())
    }
}
