//! Pushing over the OCI distribution protocol.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::Error;
use crate::blob::Blob;
use crate::image::Built;

/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// No answer's body that is read is larger.
const MAX_ANSWER: usize = 64 << 10;

/// A registry without TLS, such as the one beside a local cluster.
#[derive(Debug, Clone)]
pub struct Registry {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Registry {
    /// A client for the registry at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Whether the registry answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.send("ping", Method::GET, &self.url("/v2/"), None, Bytes::new(), &[StatusCode::OK]).await?;
        Ok(())
    }

    /// Pushes `image` as `reference` (`NAME:TAG`). Blobs that are there are not sent again.
    pub async fn push(&self, reference: &str, image: &Built) -> Result<(), Error> {
        let (name, tag) = split_reference(reference)?;
        for blob in &image.blobs {
            self.push_blob(name, blob).await?;
        }
        let url = self.url(&format!("/v2/{name}/manifests/{tag}"));
        let manifest = &image.manifest;
        let media_type = Some(manifest.descriptor.media_type.as_str());
        let what = format!("manifest of {reference}");
        self.send(&what, Method::PUT, &url, media_type, manifest.content.clone(), &[StatusCode::CREATED])
            .await?;
        Ok(())
    }

    async fn push_blob(&self, name: &str, blob: &Blob) -> Result<(), Error> {
        let digest = &blob.descriptor.digest;
        let what = format!("blob {digest}");
        let url = self.url(&format!("/v2/{name}/blobs/{digest}"));
        let known = self
            .send(&what, Method::HEAD, &url, None, Bytes::new(), &[StatusCode::OK, StatusCode::NOT_FOUND])
            .await?;
        if known.status() == StatusCode::OK {
            return Ok(());
        }
        let url = self.url(&format!("/v2/{name}/blobs/uploads/"));
        let started =
            self.send(&what, Method::POST, &url, None, Bytes::new(), &[StatusCode::ACCEPTED]).await?;
        let location = started.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(location) = location else {
            return Err(self.failed(format!("{what}: the upload has no location")));
        };
        let location = if location.starts_with('/') { self.url(location) } else { location.to_owned() };
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={digest}");
        let media_type = Some("application/octet-stream");
        self.send(&what, Method::PUT, &url, media_type, blob.content.clone(), &[StatusCode::CREATED]).await?;
        Ok(())
    }

    async fn send(
        &self,
        what: &str,
        method: Method,
        url: &str,
        media_type: Option<&str>,
        body: Bytes,
        expected: &[StatusCode],
    ) -> Result<Response<Bytes>, Error> {
        let uri: Uri = url.parse().map_err(|error| self.failed(format!("{what}: {url:?}: {error}")))?;
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(media_type) = media_type {
            request = request.header(CONTENT_TYPE, media_type);
        }
        let request =
            request.body(Full::new(body)).map_err(|error| self.failed(format!("{what}: {error}")))?;
        let answer = tokio::time::timeout(REQUEST_LIMIT, self.exchange(request)).await;
        let answer = answer
            .map_err(|_| self.failed(format!("{what}: no answer within {REQUEST_LIMIT:?}")))?
            .map_err(|error| self.failed(format!("{what}: {error}")))?;
        if expected.contains(&answer.status()) {
            return Ok(answer);
        }
        let body: String = String::from_utf8_lossy(answer.body()).chars().take(500).collect();
        Err(Error::Refused {
            registry: self.address.to_string(),
            what: what.to_owned(),
            status: answer.status().as_u16(),
            body,
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, BoxError> {
        let (parts, body) = self.client.request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn failed(&self, what: String) -> Error {
        Error::Transport { registry: self.address.to_string(), what }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `NAME` and `TAG` of `NAME:TAG`.
pub(crate) fn split_reference(reference: &str) -> Result<(&str, &str), Error> {
    let allowed = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/".contains(&b))
    };
    reference
        .split_once(':')
        .filter(|(name, tag)| allowed(name) && allowed(tag) && !tag.contains('/'))
        .ok_or_else(|| Error::Reference { reference: reference.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_or_refused() {
        assert_eq!(split_reference("team/web:v1").unwrap(), ("team/web", "v1"));
        for bad in ["web", ":v1", "web:", "Web:v1", "web:v1/x", "web:v1:v2", "web?:v1"] {
            assert!(split_reference(bad).is_err(), "{bad}");
        }
    }
}
