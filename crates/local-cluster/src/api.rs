//! As much of the API as bringing up a cluster and tests need: plain requests over TLS with the administrator's certificate.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, Paths, Result, pki};

const REQUEST_LIMIT: Duration = Duration::from_secs(40);
const MAX_ANSWER: usize = 16 << 20;

/// A client of the cluster's API server.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Api {
    /// A client with the administrator's certificate in `paths`, for the API server at `port` of this machine.
    pub fn new(paths: &Paths, port: u16) -> Result<Self> {
        let failed = |error: rustls::Error| Error::Api(error.to_string());
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates(&paths.certificate(pki::CA))? {
            roots.add(certificate).map_err(failed)?;
        }
        let chain = certificates(&paths.certificate(pki::ADMIN))?;
        let key_path = paths.key(pki::ADMIN);
        let key = PrivateKeyDer::from_pem_file(&key_path)
            .map_err(|error| Error::Api(format!("{}: {error}", key_path.display())))?;
        let provider = rustls::crypto::ring::default_provider();
        let config = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(failed)?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { base: format!("https://127.0.0.1:{port}"), client })
    }

    /// The answer to GET `path`, when its status is 200.
    pub async fn get(&self, path: &str) -> Result<Bytes> {
        let (status, body) = self.request(Method::GET, path, "", Bytes::new()).await?;
        if status.is_success() {
            Ok(body)
        } else {
            let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
            Err(Error::Api(format!("GET {path}: {status} {text}")))
        }
    }

    /// Any request; the answer's status and body, whatever the status is.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let failed = |what: String| Error::Api(format!("{path}: {what}"));
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !media_type.is_empty() {
            request = request.header(CONTENT_TYPE, media_type);
        }
        let request = request.body(Full::new(body)).map_err(|e| failed(e.to_string()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|e| failed(chain(&e)))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| failed(e.to_string()))?;
            Ok((parts.status, body.to_bytes()))
        };
        tokio::time::timeout(REQUEST_LIMIT, exchange)
            .await
            .map_err(|_| failed(format!("no answer within {REQUEST_LIMIT:?}")))?
    }

    /// The JSON document at `path`.
    pub async fn get_json(&self, path: &str) -> Result<serde_json::Value> {
        let body = self.get(path).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Api(format!("GET {path}: {error}")))
    }

    /// The names of the nodes that are Ready.
    pub async fn ready_nodes(&self) -> Result<Vec<String>> {
        Ok(ready_nodes(&self.get_json("/api/v1/nodes").await?))
    }
}

fn ready_nodes(list: &serde_json::Value) -> Vec<String> {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_ready = |node: &&serde_json::Value| {
        let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let names = items.iter().filter(is_ready).filter_map(|node| node["metadata"]["name"].as_str());
    names.map(str::to_owned).collect()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = |error| Error::Api(format!("{}: {error}", path.display()));
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// An error with its sources, since hyper's own text names only the stage.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ready_nodes_count() {
        let list = serde_json::json!({"items": [
            {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}},
            {"metadata": {"name": "c"}},
        ]});
        assert_eq!(ready_nodes(&list), ["a"]);
    }
}
