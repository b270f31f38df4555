//! The opening of a WebSocket: what is asked for, and the answer that accepts it. Its messages, and its end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tonic::body::Body;

use super::{MAX_MESSAGE, has, words};
use crate::status::{ApiError, Reason};

/// An open WebSocket.
pub(in super::super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// An opening that can be accepted.
#[derive(Debug)]
pub(in super::super) struct WebSocket {
    /// What its messages mean; empty where the client asks for nothing in particular.
    pub(in super::super) protocol: &'static str,
    accept: String,
}

impl WebSocket {
    /// Reads the opening from a request's headers: the first of the client's choices that is served. An empty name
    /// stands for a client that chooses nothing.
    pub(in super::super) fn read(headers: &HeaderMap, served: &[&'static str]) -> Result<Self, ApiError> {
        if !has(headers, &SEC_WEBSOCKET_VERSION, "13") {
            return Err(ApiError::bad_request("Sec-WebSocket-Version must be 13"));
        }
        let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
            return Err(ApiError::bad_request("Sec-WebSocket-Key is required"));
        };
        let wanted: Vec<&str> = words(headers, &SEC_WEBSOCKET_PROTOCOL).collect();
        let find = |wanted: &str| served.iter().copied().find(|served| *served == wanted);
        let protocol = if wanted.is_empty() {
            find("")
        } else {
            wanted.iter().copied().filter(|name| !name.is_empty()).find_map(find)
        };
        let protocol = protocol.ok_or_else(|| {
            let served: Vec<&str> = served.iter().copied().filter(|name| !name.is_empty()).collect();
            let text = format!(
                "unable to negotiate protocol: client supports {wanted:?}, server accepts {served:?}"
            );
            ApiError::new(Reason::Forbidden, text)
        })?;
        Ok(Self { protocol, accept: derive_accept_key(key.as_bytes()) })
    }

    /// The answer after which the connection is a WebSocket.
    pub(in super::super) fn response(&self) -> Result<Response<Body>, ApiError> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let accept = HeaderValue::try_from(&self.accept).map_err(ApiError::internal)?;
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if !self.protocol.is_empty() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        }
        Ok(response)
    }

    /// The connection as a WebSocket.
    pub(in super::super) async fn open(connection: TokioIo<Upgraded>) -> Socket {
        Socket::from_raw_socket(connection, Role::Server, Some(config())).await
    }
}

/// How much a client may send at once.
pub(in super::super) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .max_write_buffer_size(2 * MAX_MESSAGE)
        .write_buffer_size(0)
}

/// The last message of a session. Clients take no other code, and not the absence of one, for its end.
pub(in super::super) fn closing() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// Writes a message that begins with its channel: a byte, or in text a character of its own before base64.
pub(in super::super) fn encode(base64: bool, channel: u8, data: &[u8]) -> Message {
    if base64 {
        let mut text = String::with_capacity(1 + data.len().div_ceil(3) * 4);
        text.push(char::from(b'0'.saturating_add(channel)));
        STANDARD.encode_string(data, &mut text);
        return Message::text(text);
    }
    let mut bytes = Vec::with_capacity(1 + data.len());
    bytes.push(channel);
    bytes.extend_from_slice(data);
    Message::binary(bytes)
}

/// Reads such a message; none where it is empty or no base64.
pub(in super::super) fn decode(base64: bool, message: &Bytes) -> Option<(u8, Bytes)> {
    let first = *message.first()?;
    if base64 {
        return Some((first.checked_sub(b'0')?, STANDARD.decode(&message[1..]).ok()?.into()));
    }
    Some((first, message.slice(1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: [&str; 3] = ["v5.channel.k8s.io", "v4.channel.k8s.io", ""];

    fn headers(protocol: &str) -> HeaderMap {
        let mut headers: HeaderMap =
            [(SEC_WEBSOCKET_VERSION, "13"), (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")]
                .into_iter()
                .map(|(name, value)| (name, HeaderValue::from_static(value)))
                .collect();
        if !protocol.is_empty() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol).unwrap());
        }
        headers
    }

    #[test]
    fn an_opening_is_accepted_with_its_protocol() {
        let read = |protocol: &str| WebSocket::read(&headers(protocol), &SERVED).unwrap();
        let response = read("v9, v5.channel.k8s.io").response().unwrap();
        assert_eq!(response.status(), 101);
        // The example of RFC 6455.
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "v5.channel.k8s.io");
        // The client's order decides.
        assert_eq!(read("v4.channel.k8s.io, v5.channel.k8s.io").protocol, "v4.channel.k8s.io");
        assert_eq!(read("").protocol, "");
    }

    #[test]
    fn a_message_begins_with_its_channel() {
        assert_eq!(encode(false, 2, b"hi"), Message::binary(&b"\x02hi"[..]));
        assert_eq!(encode(true, 2, b"hi"), Message::text("2aGk="));
        assert_eq!(decode(false, &"\x02hi".into()), Some((2, "hi".into())));
        assert_eq!(decode(true, &"2aGk=".into()), Some((2, "hi".into())));
        assert_eq!((decode(true, &"2a".into()), decode(false, &"".into())), (None, None));
    }

    #[test]
    fn what_is_no_opening_says_why() {
        let error = |headers: &HeaderMap| WebSocket::read(headers, &SERVED).unwrap_err();
        let refused = error(&headers("v9"));
        assert_eq!(refused.reason(), Reason::Forbidden);
        assert!(refused.to_string().starts_with("unable to negotiate protocol: client supports [\"v9\"]"));
        for name in [SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_KEY] {
            let mut headers = headers("v5.channel.k8s.io");
            headers.remove(name);
            assert_eq!(error(&headers).reason(), Reason::BadRequest);
        }
    }
}
