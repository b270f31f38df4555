//! The decoders of what REST clients send, each by itself: for tests that send them anything.

use bytes::Bytes;
use futures::StreamExt as _;
use gantry_api::{Kind, Object};
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderValue, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::body::{self, RawBody};
use super::query::{FieldValidation, Query};
use super::{Accept, asked, exec, resource, upgrade};
use crate::status::ApiError;
use crate::verbs::check_continue_token;

/// Reads what a client accepts.
pub fn accept(value: &[u8]) -> Result<(), ApiError> {
    let Ok(value) = HeaderValue::from_bytes(value) else { return Ok(()) };
    let headers: HeaderMap = [(ACCEPT, value.clone()), (ACCEPT_ENCODING, value)].into_iter().collect();
    Accept::of(&headers, None)?;
    Accept::without_protobuf(&headers, None).map(|_| ())
}

/// Reads an address, and its query as the options of every verb.
pub fn address(uri: &str) -> Result<(), ApiError> {
    let Ok(request) = Request::builder().uri(uri).body(()) else { return Ok(()) };
    let _ = asked(&request);
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let (list, log, ports) = (query.list(), query.log(), query.ports());
    let (create, patch, delete) = (query.create(), query.patch(true), query.delete());
    let _ = (query.exec(), query.include_object());
    let options = list.map(|_| ()).and(log.map(|_| ())).and(ports.map(|_| ())).and(create.map(|_| ()));
    options.and(patch.map(|_| ())).and(delete.map(|_| ()))
}

/// Reads the token of a page.
pub fn continue_token(text: &str) -> Result<(), ApiError> {
    check_continue_token(text, "").and_then(|()| check_continue_token(text, "default"))
}

/// Reads a body that should be an object of a kind, strictly.
pub fn object(kind: &'static Kind, media_type: &str, bytes: &Bytes) -> Result<Box<dyn Object>, ApiError> {
    let body = RawBody { bytes: bytes.clone(), media_type: media_type.to_owned() };
    let _ = body::clears_owners(&body);
    body::object(&body, kind, FieldValidation::Warn).map(|(object, _)| object)
}

/// Reads a configuration that is applied.
pub fn configuration(bytes: &Bytes) -> Result<serde_json::Value, ApiError> {
    body::configuration(bytes, FieldValidation::Warn).map(|(config, _)| config)
}

/// Reads the options of a deletion.
pub fn delete_options(media_type: &str, bytes: &Bytes) -> Result<(), ApiError> {
    let body = RawBody { bytes: bytes.clone(), media_type: media_type.to_owned() };
    resource::delete_options(&body).map(|_| ())
}

/// Reads a message of a WebSocket in every protocol; returns in how many it means something.
#[must_use]
pub fn message(bytes: &Bytes) -> usize {
    exec::meanings(bytes)
}

/// Reads the frames of a WebSocket, and their messages, until the client leaves; returns how many messages there were.
pub async fn websocket(io: impl AsyncRead + AsyncWrite + Unpin) -> usize {
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(upgrade::config())).await;
    let mut count = 0;
    while let Some(Ok(message)) = socket.next().await {
        count += 1;
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => text.into(),
            _ => continue,
        };
        exec::meanings(&bytes);
    }
    count
}
