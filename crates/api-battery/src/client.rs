//! The client: one connection pool for each user.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Identity, Method, redirect};
use serde_json::Value;

use crate::case::User;
use crate::protobuf::{self, PROTOBUF};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the server is, and who asks.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    admin: reqwest::Client,
    anonymous: reqwest::Client,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as it came.
    pub body: Vec<u8>,
    headers: HeaderMap,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body with its media type; none where the type is empty.
    pub body: Option<(String, Vec<u8>)>,
}

impl Client {
    /// A client of the server at `url`; everything else is PEM.
    pub fn new(url: &str, authority: &[u8], certificate: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        // Another test of this process may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = Certificate::from_pem(authority).context("the authority's certificate")?;
        let builder = || {
            reqwest::Client::builder()
                .tls_certs_only([authority.clone()])
                .redirect(redirect::Policy::none())
                .user_agent("battery/1")
                .timeout(PATIENCE)
                .no_proxy()
        };
        let identity =
            Identity::from_pem(&[certificate, b"\n", key].concat()).context("the client's certificate")?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            admin: builder().identity(identity).build()?,
            anonymous: builder().build()?,
        })
    }

    /// Sends a request.
    pub async fn send(&self, user: User, request: &Request) -> anyhow::Result<Answer> {
        self.send_taking(user, request, None).await
    }

    /// Sends a request, and hangs up after so many events where the answer is a watch.
    pub async fn send_taking(
        &self,
        user: User,
        request: &Request,
        events: Option<usize>,
    ) -> anyhow::Result<Answer> {
        let client = match user {
            User::Admin => &self.admin,
            User::Anonymous => &self.anonymous,
        };
        let method = Method::from_bytes(request.method.as_bytes())?;
        let mut call = client.request(method, format!("{}{}", self.url, request.path));
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if let Some((media_type, body)) = &request.body {
            if !media_type.is_empty() {
                call = call.header(CONTENT_TYPE, media_type);
            }
            call = call.body(body.clone());
        }
        let mut response = call.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut answer = Answer { status, headers, body: Vec::new() };
        while let Some(chunk) = response.chunk().await? {
            answer.body.extend_from_slice(&chunk);
            let complete = |events| answer.events().is_ok_and(|found| found.len() >= events);
            if status < 300 && events.is_some_and(complete) {
                break;
            }
        }
        Ok(answer)
    }
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The media type of the body, with its parameters.
    #[must_use]
    pub fn media_type(&self) -> String {
        self.headers("content-type").into_iter().next().unwrap_or_default()
    }

    /// The body as a JSON value, whatever its form.
    pub fn value(&self) -> anyhow::Result<Value> {
        let media_type = self.media_type();
        if media_type.starts_with(PROTOBUF) {
            return protobuf::decode(&self.body).context("not protobuf");
        }
        if media_type.starts_with("application/yaml") {
            return serde_yaml::from_slice(&self.body).context("not YAML");
        }
        serde_json::from_slice(&self.body).context("not JSON")
    }

    /// The body as the events of a watch.
    pub fn events(&self) -> anyhow::Result<Vec<Value>> {
        if self.media_type().starts_with(PROTOBUF) {
            return protobuf::events(&self.body).context("not protobuf");
        }
        let text = self.text();
        let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        lines.context("not JSON")
    }

    /// The values of a header.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }
}
