//! gRPC to its routes, everything else to REST.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use crate::pipeline::is_grpc;
use crate::rest::Rest;

/// Splits requests on their content type.
#[derive(Clone)]
pub(crate) struct Split {
    grpc: Routes,
    rest: Rest,
}

impl Split {
    pub(crate) fn new(grpc: Routes, rest: Rest) -> Self {
        Self { grpc, rest }
    }
}

impl Service<Request<Body>> for Split {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Both are always ready: what runs at once is limited by the pipeline.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_grpc(&request) {
            Box::pin(self.grpc.call(request))
        } else {
            let rest = self.rest.clone();
            Box::pin(async move { Ok(rest.answer(request).await) })
        }
    }
}
