//! Who asks: the user of the connection's certificate.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};
use super::{Class, User, reply};
use crate::status::ApiError;

/// The TLS connection has put its user into the request; a token is refused, as nothing here can verify one.
#[derive(Clone)]
pub(super) struct Authentication;

impl Middleware for Authentication {
    async fn call(self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        let user = request.extensions().get::<Arc<User>>();
        let anonymous = user.is_none_or(|user| !user.is_authenticated());
        // A client with a certificate is known by it; one that claims to be someone by a token is not believed.
        if anonymous && request.headers().contains_key(AUTHORIZATION) {
            return reply::error(class.grpc, &ApiError::unauthorized());
        }
        if anonymous && class.grpc && !class.health {
            return reply::error(class.grpc, &ApiError::unauthorized());
        }
        if user.is_none() {
            request.extensions_mut().insert(Arc::new(User::anonymous()));
        }
        run(next, request).await
    }
}
