//! A request's id, its span in the log and its place in the metrics.

use std::time::Instant;

use http::header::CACHE_CONTROL;
use http::{HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tracing::Instrument;

use super::Class;
use super::middleware::{Middleware, Next, run};
use crate::metrics;

/// The header that carries the request's id, in both directions.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

#[derive(Clone)]
pub(super) struct Trace;

impl Middleware for Trace {
    async fn call(self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        request.extensions_mut().insert(class);
        let id = id_of(&request);
        // For whomever the request is handed on to.
        request.headers_mut().insert(AUDIT_ID, id.clone());
        let span = tracing::debug_span!(
            "request",
            id = id.to_str().unwrap_or_default(),
            method = %request.method(),
            path = request.uri().path(),
        );
        let started = Instant::now();
        let method = request.method().clone();
        let _running = metrics::in_flight(class.mutating, class.long_running);
        let mut response = run(next, request).instrument(span.clone()).await;
        let status = response.status();
        metrics::answered(&method, class.grpc, status, started.elapsed());
        tracing::debug!(parent: &span, status = status.as_u16(), elapsed = ?started.elapsed(), "answered");
        response.headers_mut().insert(AUDIT_ID, id);
        if !class.grpc {
            // What is there changes at any time; what does not says so itself.
            let cached = response.headers_mut().entry(CACHE_CONTROL);
            cached.or_insert(HeaderValue::from_static("no-cache, private"));
        }
        response
    }
}

/// The client's id, or one of our own.
fn id_of(request: &Request<Body>) -> HeaderValue {
    let given = request.headers().get(AUDIT_ID).filter(|id| id.len() <= 64);
    given.cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().to_string();
        HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    })
}
