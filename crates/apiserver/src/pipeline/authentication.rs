//! Who asks: the user of the connection's certificate.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};
use super::{Class, User, reply};
use crate::authorization::{Authorizer, Requester};
use crate::status::ApiError;

/// The TLS connection has put its user into the request; a token is refused, as nothing here can verify one.
#[derive(Clone)]
pub(super) struct Authentication {
    authorizer: Arc<Authorizer>,
}

impl Authentication {
    pub(super) fn new(authorizer: Arc<Authorizer>) -> Self {
        Self { authorizer }
    }
}

impl Middleware for Authentication {
    async fn call(self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        let user = request.extensions().get::<Arc<User>>().cloned();
        let user = user.unwrap_or_else(|| Arc::new(User::anonymous()));
        let anonymous = !user.is_authenticated();
        // A client with a certificate is known by it; one that claims to be someone by a token is not believed.
        if anonymous && (bearer(request.headers()).is_some() || class.grpc && !class.health) {
            return reply::error(class.grpc, &ApiError::unauthorized());
        }
        let requester = Requester::new(user.clone(), self.authorizer);
        request.extensions_mut().insert(user);
        request.extensions_mut().insert(requester.clone());
        requester.scope(run(next, request)).await
    }
}

/// The token of a request. Other schemes and empty tokens claim nothing.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim_start();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_is_named_by_its_scheme() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("Basic abc"), None);
        assert_eq!(of("Bearer"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
