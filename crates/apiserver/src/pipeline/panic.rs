//! A bug in a handler ends its request and nothing else.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use http::{Request, Response};
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};
use super::{Class, reply};
use crate::status::ApiError;

#[derive(Clone)]
pub(super) struct CatchPanic;

impl Middleware for CatchPanic {
    async fn call(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        // What a panicking handler leaves behind is its own request, which is dropped.
        match AssertUnwindSafe(run(next, request)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                let message = panic
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                    .unwrap_or("no message");
                tracing::error!(panic = message, "a handler panicked");
                reply::error(
                    class.grpc,
                    &ApiError::internal("the request's handler failed: see the server's log"),
                )
            }
        }
    }
}
