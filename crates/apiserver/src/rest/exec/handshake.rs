//! The opening of a WebSocket: what is asked for, and the answer that accepts it.

use http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tonic::body::Body;

use super::channels::Protocol;
use crate::status::{ApiError, Reason};

/// An opening that can be accepted.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) protocol: &'static Protocol,
    accept: String,
}

impl Handshake {
    /// Reads the opening from a request's headers.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        if !has(headers, &CONNECTION, "upgrade") {
            return Err(ApiError::bad_request("Upgrade request required"));
        }
        if !has(headers, &UPGRADE, "websocket") {
            return Err(ApiError::bad_request(
                "unable to upgrade: the only protocol served here is websocket",
            ));
        }
        if !has(headers, &SEC_WEBSOCKET_VERSION, "13") {
            return Err(ApiError::bad_request("Sec-WebSocket-Version must be 13"));
        }
        let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
            return Err(ApiError::bad_request("Sec-WebSocket-Key is required"));
        };
        let wanted: Vec<&str> = words(headers, &SEC_WEBSOCKET_PROTOCOL).collect();
        let protocol = Protocol::negotiate(wanted.iter().copied()).ok_or_else(|| {
            let served = Protocol::names();
            let text = format!(
                "unable to negotiate protocol: client supports {wanted:?}, server accepts {served:?}"
            );
            ApiError::new(Reason::Forbidden, text)
        })?;
        Ok(Self { protocol, accept: derive_accept_key(key.as_bytes()) })
    }

    /// The answer after which the connection is a WebSocket.
    pub(super) fn response(&self) -> Result<Response<Body>, ApiError> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let accept = HeaderValue::try_from(&self.accept).map_err(ApiError::internal)?;
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if !self.protocol.name.is_empty() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol.name));
        }
        Ok(response)
    }
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    words(headers, name).any(|found| found.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(protocol: &str) -> HeaderMap {
        [
            (CONNECTION, "keep-alive, Upgrade"),
            (UPGRADE, "WebSocket"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (SEC_WEBSOCKET_PROTOCOL, protocol),
        ]
        .into_iter()
        .map(|(name, value)| (name, HeaderValue::from_str(value).unwrap()))
        .collect()
    }

    #[test]
    fn an_opening_is_accepted_with_its_protocol() {
        let response = Handshake::read(&headers("v9, v5.channel.k8s.io")).unwrap().response().unwrap();
        assert_eq!(response.status(), 101);
        // The example of RFC 6455.
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "v5.channel.k8s.io");
    }

    #[test]
    fn what_is_no_opening_says_why() {
        let error = |headers: &HeaderMap| Handshake::read(headers).unwrap_err();
        assert_eq!(error(&HeaderMap::new()).to_string(), "Upgrade request required");
        let refused = error(&headers("v9"));
        assert_eq!(refused.reason(), Reason::Forbidden);
        assert!(refused.to_string().starts_with("unable to negotiate protocol: client supports [\"v9\"]"));
        for name in [UPGRADE, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_KEY] {
            let mut headers = headers("v5.channel.k8s.io");
            headers.remove(name);
            assert_eq!(error(&headers).reason(), Reason::BadRequest);
        }
    }
}
