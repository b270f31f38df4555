//! Who asks: whom a front proxy names, or else the user of the connection's certificate, or else of the token.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};
use super::{Class, FrontProxies, Peer, User, reply, warnings};
use crate::authorization::{Authorizer, Requester};
use crate::status::ApiError;
use crate::tokens::Authenticator;

/// The TLS connection has put its user into the request; a client with a certificate is known by it, whatever its token.
#[derive(Clone)]
pub(crate) struct Authentication {
    authorizer: Arc<Authorizer>,
    authenticator: Arc<Authenticator>,
    front_proxies: Arc<FrontProxies>,
}

impl Authentication {
    pub(crate) fn new(
        authorizer: Arc<Authorizer>,
        authenticator: Arc<Authenticator>,
        front_proxies: Arc<FrontProxies>,
    ) -> Self {
        Self { authorizer, authenticator, front_proxies }
    }

    /// The user of a token; nobody where it is nobody's.
    async fn of_token(&self, token: &str) -> Option<Arc<User>> {
        match self.authenticator.identify(token, &[]).await {
            Ok(known) => known.map(|known| Arc::new(known.user)),
            Err(reason) => {
                tracing::debug!(reason, "a token is refused");
                None
            }
        }
    }
}

impl Middleware for Authentication {
    async fn call(self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        let peer = request.extensions().get::<Arc<Peer>>().cloned();
        let proxied = peer.as_ref().and_then(|peer| self.front_proxies.user(peer, request.headers()));
        // Whoever else writes them means to be somebody else.
        self.front_proxies.clear(request.headers_mut());
        let user = if let Some(user) = proxied {
            Arc::new(user)
        } else {
            let user = request.extensions().get::<Arc<User>>().cloned();
            let user = user.unwrap_or_else(|| Arc::new(User::anonymous()));
            let token = bearer(request.headers()).map(str::to_owned);
            match token {
                Some(token) if !user.is_authenticated() => match self.of_token(&token).await {
                    Some(known) => known,
                    // Who claims to be someone is not served as nobody.
                    None => return reply::error(class.grpc, &ApiError::unauthorized()),
                },
                // Nor is a front proxy that does not say for whom it asks.
                _ if !user.is_authenticated() && peer.as_ref().is_some_and(|peer| peer.presented) => {
                    return reply::error(class.grpc, &ApiError::unauthorized());
                }
                _ => user,
            }
        };
        if !user.is_authenticated() && class.grpc && !class.health {
            return reply::error(class.grpc, &ApiError::unauthorized());
        }
        let requester = Requester::new(user.clone(), self.authorizer, self.authenticator);
        request.extensions_mut().insert(user);
        request.extensions_mut().insert(requester.clone());
        let mut response = requester.scope(run(next, request)).await;
        warnings::write(response.headers_mut(), requester.take_warnings());
        response
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
