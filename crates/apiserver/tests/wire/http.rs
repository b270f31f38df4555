//! A client of one certificate, and what is expected of answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use http::{HeaderName, Method, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::pki::{Identity, Pki};

/// Long enough for a busy machine; nothing waits that long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const JSON: &str = "application/json";
pub(crate) const YAML: &str = "application/yaml";
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

type Body = BoxBody<Bytes, Infallible>;
type Connections = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// A client of one certificate, or of none.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    connections: Connections,
}

/// The TLS side of a client.
pub(crate) fn tls(pki: &Pki, identity: Option<Identity>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pki.authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => config.with_no_client_auth(),
    }
}

impl Client {
    pub(crate) fn new(pki: &Pki, address: SocketAddr, identity: Option<Identity>) -> Self {
        let config = tls(pki, identity);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_all_versions().build();
        let connections = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Self { base: format!("https://{address}"), connections }
    }

    /// Begins a request.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            client: self,
            request: Request::builder().method(method).uri(format!("{}{path}", self.base)),
            body: Full::default().boxed(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.call(Method::GET, path).header(ACCEPT, accept).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).json(body).send().await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path).json(body).send().await
    }

    pub(crate) async fn patch(&self, path: &str, r#type: &str, body: &Value) -> Answer {
        self.call(Method::PATCH, path).body(r#type, body.to_string()).send().await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path).send().await
    }

    /// A watch, as far as its head.
    pub(crate) async fn watch(&self, path: &str, accept: &str) -> Frames {
        let (status, headers, body) = self.call(Method::GET, path).header(ACCEPT, accept).head().await;
        assert_eq!(status, 200, "{path}");
        Frames { content_type: content_type(&headers), body, buffer: BytesMut::new() }
    }
}

/// A request that is being made.
pub(crate) struct Call<'a> {
    client: &'a Client,
    request: http::request::Builder,
    body: Body,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Full::new(body.into()).boxed();
        self.header(CONTENT_TYPE, content_type)
    }

    /// A body whose length is not said beforehand.
    pub(crate) fn pieces(mut self, content_type: &str, pieces: Vec<Bytes>) -> Self {
        let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(http_body::Frame::data(piece)));
        self.body = BodyExt::boxed(http_body_util::StreamBody::new(futures::stream::iter(frames)));
        self.header(CONTENT_TYPE, content_type)
    }

    /// A body that never comes.
    pub(crate) fn endless(mut self, content_type: &str) -> Self {
        let frames = futures::stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>();
        self.body = BodyExt::boxed(http_body_util::StreamBody::new(frames));
        self.header(CONTENT_TYPE, content_type)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(JSON, body.to_string())
    }

    async fn head(self) -> (u16, HeaderMap, Incoming) {
        let request = self.request.body(self.body).unwrap();
        let what = format!("{} {}", request.method(), request.uri());
        let answer = tokio::time::timeout(PATIENCE, self.client.connections.request(request)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{what}: no answer")).unwrap_or_else(|error| {
            panic!("{what}: {error}: {:?}", std::error::Error::source(&error));
        });
        let (parts, body) = answer.into_parts();
        (parts.status.as_u16(), parts.headers, body)
    }

    pub(crate) async fn send(self) -> Answer {
        let (status, headers, body) = self.head().await;
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("the body's end");
        Answer { status, headers, body: body.unwrap().to_bytes() }
    }
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn content_type(&self) -> String {
        content_type(&self.headers)
    }

    /// The warnings that the answer carries.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The Status of a failure: complete, with the code and the reason given.
    #[track_caller]
    pub(crate) fn fails(&self, code: u16, reason: &str) -> Value {
        let status = self.ok(code);
        assert_eq!(self.content_type(), JSON);
        assert_eq!(
            (&status["kind"], &status["apiVersion"], &status["status"]),
            (&"Status".into(), &"v1".into(), &"Failure".into())
        );
        assert_eq!((&status["code"], &status["reason"]), (&code.into(), &reason.into()), "{status}");
        assert_ne!(status["message"].as_str().unwrap_or_default(), "", "{status}");
        status
    }

    /// A failure whose message contains a text.
    #[track_caller]
    pub(crate) fn fails_with(&self, code: u16, reason: &str, text: &str) -> Value {
        let status = self.fails(code, reason);
        assert!(status["message"].as_str().unwrap().contains(text), "{status}");
        status
    }

    /// A 422 that names these fields, each with its reason.
    #[track_caller]
    pub(crate) fn invalid(&self, causes: &[(&str, &str)]) -> Value {
        let status = self.fails(422, "Invalid");
        let mut found: Vec<(&str, &str)> = status["details"]["causes"]
            .as_array()
            .unwrap_or_else(|| panic!("causes: {status}"))
            .iter()
            .map(|cause| (cause["field"].as_str().unwrap(), cause["reason"].as_str().unwrap()))
            .collect();
        found.sort_unstable();
        found.dedup();
        let mut wanted = causes.to_vec();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{status}");
        status
    }
}

/// The answer to a watch, as it comes.
pub(crate) struct Frames {
    pub(crate) content_type: String,
    body: Incoming,
    buffer: BytesMut,
}

impl Frames {
    async fn more(&mut self) -> bool {
        let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("another event");
        let Some(frame) = frame else { return false };
        if let Ok(data) = frame.unwrap().into_data() {
            self.buffer.extend_from_slice(&data);
        }
        true
    }

    /// The next event of a watch in JSON; none at its end.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return Some(serde_json::from_slice(&line).unwrap());
            }
            if !self.more().await {
                assert!(self.buffer.is_empty(), "half an event: {:?}", self.buffer);
                return None;
            }
        }
    }

    /// The next event as its type and the object's name.
    pub(crate) async fn named(&mut self) -> (String, String) {
        let event = self.event().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }

    /// The next frame of a watch in protobuf.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<4>() {
                let len = usize::try_from(u32::from_be_bytes(*head)).unwrap();
                if self.buffer.len() >= 4 + len {
                    return Some(self.buffer.split_to(4 + len).freeze().slice(4..));
                }
            }
            if !self.more().await {
                assert!(self.buffer.is_empty(), "half an event: {:?}", self.buffer);
                return None;
            }
        }
    }
}
