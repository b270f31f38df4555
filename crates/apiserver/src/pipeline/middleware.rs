//! One shape for every step of the pipeline.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

/// What a step hands the request on to.
pub(super) trait Next:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Send + 'static
{
}

impl<S> Next for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Send + 'static
{
}

/// A step of the pipeline.
pub(super) trait Middleware: Clone + Send + Sync + 'static {
    /// Answers a request, mostly by handing it on.
    fn call(self, request: Request<Body>, next: impl Next) -> impl Future<Output = Response<Body>> + Send;
}

/// Hands a request on. Handlers cannot fail: errors are answers.
pub(super) async fn run(mut next: impl Next, request: Request<Body>) -> Response<Body> {
    match next.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A step as a tower layer.
pub(super) fn layer<M: Middleware>(middleware: M) -> MiddlewareLayer<M> {
    MiddlewareLayer(middleware)
}

/// See [`layer`].
#[derive(Clone)]
pub(super) struct MiddlewareLayer<M>(M);

impl<M: Middleware, S> Layer<S> for MiddlewareLayer<M> {
    type Service = Wrapped<M, S>;

    fn layer(&self, inner: S) -> Wrapped<M, S> {
        Wrapped { middleware: self.0.clone(), inner }
    }
}

/// A step around an inner service. Nothing here waits for readiness: what is limited is limited by [`Concurrency`].
///
/// [`Concurrency`]: super::Concurrency
#[derive(Clone)]
pub(super) struct Wrapped<M, S> {
    middleware: M,
    inner: S,
}

impl<M, S> Service<Request<Body>> for Wrapped<M, S>
where
    M: Middleware,
    S: Next + Clone + Sync,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.middleware.clone().call(request, self.inner.clone()).map(Ok).boxed()
    }
}
