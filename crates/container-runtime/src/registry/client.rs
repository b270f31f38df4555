//! The client of registries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{ACCEPT as ACCEPT_HEADER, CONTENT_TYPE, RANGE, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

use super::auth::Challenge;
use super::config::Target;
use super::manifest::{ACCEPT, sha256};
use super::{Descriptor, Document, Reference, RegistryOptions};
use crate::{Error, RegistryAuth, Result};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A transfer from which nothing comes for so long is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// Manifests and configurations; layers are streamed and may be of any size.
const MAX_DOCUMENT: u64 = 8 << 20;
const MAX_ERROR_TEXT: usize = 500;
const MAX_REDIRECTS: usize = 5;

/// Speaks to all registries.
pub(crate) struct Client {
    options: RegistryOptions,
    /// One HTTP client for each way of trusting.
    clients: Mutex<HashMap<(bool, Option<std::path::PathBuf>), reqwest::Client>>,
}

/// An image at the place where it was found, ready to be fetched.
pub(crate) struct Source {
    http: reqwest::Client,
    target: Target,
    reference: Reference,
    auth: Option<RegistryAuth>,
    /// The Authorization header that worked last.
    authorization: Mutex<Option<Arc<str>>>,
}

/// A document with its raw bytes, as they must be kept.
pub(crate) struct Fetched {
    pub(crate) document: Document,
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) bytes: bytes::Bytes,
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    code: Option<String>,
    message: Option<String>,
}

impl Client {
    pub(crate) fn new(options: &RegistryOptions) -> Result<Self> {
        let client = Self { options: options.clone(), clients: Mutex::default() };
        // What is wrong with the configuration is told at the start, not at the first pull.
        let listed = options.registries.iter().flat_map(|endpoint| options.targets(&endpoint.host));
        for target in listed {
            client.http(&target)?;
        }
        Ok(client)
    }

    /// Finds the image: mirrors are asked first, and one that does not have it or is down is passed over.
    pub(crate) async fn resolve(
        &self,
        reference: &Reference,
        auth: Option<&RegistryAuth>,
    ) -> Result<(Source, Fetched)> {
        let mut refused = None;
        for target in self.options.targets(&reference.registry) {
            let source = Source {
                http: self.http(&target)?,
                target,
                reference: reference.clone(),
                auth: auth.cloned(),
                authorization: Mutex::default(),
            };
            match source.manifest(reference.selector(), None).await {
                Ok(fetched) => return Ok((source, fetched)),
                // An answer tells more than that someone could not be reached.
                Err(error @ Error::RegistryUnavailable { .. }) => drop(refused.get_or_insert(error)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::BadImage {
            reference: reference.to_string(),
            reason: "there is no registry to ask".into(),
        }))
    }

    fn http(&self, target: &Target) -> Result<reqwest::Client> {
        let mut clients = self.clients.lock();
        let key = (target.insecure, target.ca.clone());
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = self.build(target)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn build(&self, target: &Target) -> Result<reqwest::Client> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT)
            .redirect(reqwest::redirect::Policy::limited(MAX_REDIRECTS))
            .tls_backend_preconfigured(tls(target)?)
            .no_proxy();
        let builder = match &self.options.https_proxy {
            None => builder,
            Some(address) => {
                let invalid = |reason: String| Error::InvalidConfig {
                    field: "https_proxy",
                    value: address.clone(),
                    reason,
                };
                let proxy_url = reqwest::Url::parse(address).map_err(|error| invalid(error.to_string()))?;
                let options = self.options.clone();
                builder.proxy(reqwest::Proxy::custom(move |url| {
                    // The proxy is for HTTPS alone, as its name says: it may know no method but CONNECT.
                    let direct =
                        url.scheme() != "https" || url.host_str().is_none_or(|host| options.is_direct(host));
                    (!direct).then(|| proxy_url.clone())
                }))
            }
        };
        builder.build().map_err(|error| Error::Runtime {
            call: "set up the registry client",
            reason: crate::error::chain(&error),
        })
    }
}

/// Trusts the system's certificates and the target's own, or anyone when the target is declared insecure.
fn tls(target: &Target) -> Result<rustls::ClientConfig> {
    let broken = |reason: String| Error::Runtime { call: "set up TLS", reason };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(error.to_string()))?;
    if target.insecure {
        let verifier = Arc::new(super::tls::AnyCertificate(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let mut roots = rustls::RootCertStore::empty();
    if let Ok(certificates) = CertificateDer::pem_file_iter(SYSTEM_CERTIFICATES) {
        roots.add_parsable_certificates(certificates.flatten());
    }
    if let Some(path) = &target.ca {
        let invalid = |reason: String| Error::InvalidConfig {
            field: "registries.ca",
            value: path.display().to_string(),
            reason,
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| invalid(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
            roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Where most distributions keep the certificates that they trust.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

impl Source {
    /// Fetches and checks a manifest or a list of them, by tag or digest.
    pub(crate) async fn manifest(&self, selector: &str, expected: Option<&Descriptor>) -> Result<Fetched> {
        let response =
            self.get(&format!("manifests/{selector}"), |r| r.header(ACCEPT_HEADER, ACCEPT)).await?;
        let header = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let header = header.map(|value| value.split(';').next().unwrap_or(value).trim().to_owned());
        let bytes = self.read(response).await?;
        let digest = sha256(&bytes);
        let wanted = expected.map(|descriptor| descriptor.digest.as_str());
        let wanted = wanted.or(Some(selector).filter(|selector| super::reference::is_digest(selector)));
        if wanted.is_some_and(|wanted| wanted != digest) {
            return Err(self.bad(format!("the manifest's digest is {digest}, not as asked for")));
        }
        let (document, media_type) = Document::parse(&bytes, header.as_deref()).map_err(|e| self.bad(e))?;
        Ok(Fetched { document, media_type, digest, bytes })
    }

    /// Fetches and checks something small.
    pub(crate) async fn small_blob(&self, descriptor: &Descriptor) -> Result<bytes::Bytes> {
        let response = self.get(&format!("blobs/{}", descriptor.digest), |request| request).await?;
        let bytes = self.read(response).await?;
        if sha256(&bytes) != descriptor.digest {
            return Err(self.bad(format!("what was sent for {} has another digest", descriptor.digest)));
        }
        Ok(bytes)
    }

    /// Begins to fetch a blob from `offset` on; tells whether the registry really begins there.
    pub(crate) async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<(Response, bool)> {
        let response = self
            .get(&format!("blobs/{}", descriptor.digest), |request| match offset {
                0 => request,
                _ => request.header(RANGE, format!("bytes={offset}-")),
            })
            .await?;
        let resumed = offset == 0 || response.status() == StatusCode::PARTIAL_CONTENT;
        Ok((response, resumed))
    }

    /// A failure while a body is read.
    pub(crate) fn broken(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        Error::RegistryUnavailable {
            reference: self.reference.to_string(),
            registry: self.registry().to_owned(),
            reason: crate::error::chain(error),
        }
    }

    pub(crate) fn bad(&self, reason: String) -> Error {
        Error::BadImage { reference: self.reference.to_string(), reason }
    }

    fn registry(&self) -> &str {
        self.target.base.split("://").last().unwrap_or_default()
    }

    async fn read(&self, mut response: Response) -> Result<bytes::Bytes> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if (body.len() + chunk.len()) as u64 > MAX_DOCUMENT {
                return Err(self.bad(format!("a document of it is larger than {MAX_DOCUMENT} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    /// One request, repeated once with what the registry asks for when it does not know us.
    async fn get(
        &self,
        path: &str,
        shape: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Response> {
        let url = format!("{}/v2/{}/{path}", self.target.base, self.reference.repository);
        let authorization = self.authorization.lock().clone();
        let response = self.send(&url, &shape, authorization.as_deref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.check(response).await;
        }
        let challenges = response.headers().get_all(WWW_AUTHENTICATE);
        let challenge = challenges.iter().find_map(|header| Challenge::parse(header.to_str().ok()?));
        let authorization = match challenge {
            Some(challenge) => self.answer(&challenge).await?,
            None => None,
        };
        let Some(authorization) = authorization else { return self.check(response).await };
        *self.authorization.lock() = Some(Arc::clone(&authorization));
        let response = self.send(&url, &shape, Some(&authorization)).await?;
        self.check(response).await
    }

    async fn send(
        &self,
        url: &str,
        shape: &impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
        authorization: Option<&str>,
    ) -> Result<Response> {
        let mut request = shape(self.http.get(url));
        if let Some(authorization) = authorization {
            request = request.header(reqwest::header::AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| self.broken(&error.without_url()))
    }

    /// The Authorization header that a challenge asks for, if we have what it takes.
    async fn answer(&self, challenge: &Challenge) -> Result<Option<Arc<str>>> {
        let (realm, parameters) = match (challenge, &self.auth) {
            (_, Some(RegistryAuth::RegistryToken(token))) => {
                return Ok(Some(format!("Bearer {token}").into()));
            }
            (Challenge::Basic, Some(RegistryAuth::Basic { username, password })) => {
                return Ok(Some(basic(username, password).into()));
            }
            (Challenge::Basic, _) => return Ok(None),
            (Challenge::Bearer { realm, parameters }, _) => (realm, parameters),
        };
        let mut url =
            reqwest::Url::parse(realm).map_err(|error| self.bad(format!("token server: {error}")))?;
        url.query_pairs_mut().extend_pairs(parameters);
        let request = match &self.auth {
            Some(RegistryAuth::Basic { username, password }) => {
                self.http.get(url).header(reqwest::header::AUTHORIZATION, basic(username, password))
            }
            Some(RegistryAuth::IdentityToken(token)) => {
                url.query_pairs_mut()
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("refresh_token", token);
                let form = url.query().unwrap_or_default().to_owned();
                url.set_query(None);
                self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            _ => self.http.get(url),
        };
        let response = request.send().await.map_err(|error| self.broken(&error.without_url()))?;
        let body = self.read(self.check(response).await?).await?;
        let token: Token =
            serde_json::from_slice(&body).map_err(|error| self.bad(format!("token server: {error}")))?;
        Ok(token.token.map(|token| format!("Bearer {token}").into()))
    }

    /// Turns a refusal into an error that carries the registry's words.
    async fn check(&self, mut response: Response) -> Result<Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut body = Vec::new();
        // A body that breaks off tells as much as came.
        while let Ok(Some(chunk)) = response.chunk().await
            && body.len() < 64 * 1024
        {
            body.extend_from_slice(&chunk);
        }
        Err(Error::Registry {
            reference: self.reference.to_string(),
            registry: self.registry().to_owned(),
            status: status.as_u16(),
            message: error_text(&body),
        })
    }
}

fn basic(username: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

/// The registry's own code and message, or the beginning of whatever it sent.
fn error_text(body: &[u8]) -> String {
    let Ok(Errors { errors }) = serde_json::from_slice(body) else {
        let text: String = String::from_utf8_lossy(body).chars().take(MAX_ERROR_TEXT).collect();
        return text.trim().to_owned();
    };
    let entry = |entry: &ErrorEntry| match (&entry.code, &entry.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (one, other) => one.clone().or_else(|| other.clone()).unwrap_or_default(),
    };
    errors.iter().map(entry).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_words_are_kept() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no","detail":{}},{"code":"X"}]}"#;
        assert_eq!(error_text(body), "DENIED: no; X");
        assert_eq!(error_text(b"  Bad gateway\n"), "Bad gateway");
    }
}
