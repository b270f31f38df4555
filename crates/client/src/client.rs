//! The connection to the API server: lazy, shared, repaired by itself, with a deadline on every call.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::grpc::api::resources_client::ResourcesClient;
use gantry_api::grpc::api::{DiscoverRequest, DiscoverResponse};
use gantry_api::{Kind, Resource};
use thiserror::Error as ThisError;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::{Api, Backoff, Config, DynamicApi, Error, NodeClient, Writer};

/// Lists of large clusters are large messages.
const MAX_MESSAGE: usize = 256 << 20;
/// How much a stream may receive ahead of its reader: a list must not wait for window updates.
const STREAM_WINDOW: u32 = 2 << 20;
/// The same for all streams together.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A dead connection is noticed after the interval and the timeout together.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) type Rpc = ResourcesClient<Channel>;

/// Why a client cannot be made.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum SetupError {
    /// The configuration names no server.
    #[error("the configuration names no server")]
    NoServer,
    /// The certificates or the key cannot be used.
    #[error("the certificates for {server} cannot be used")]
    Tls {
        /// The server that they are for.
        server: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The token has characters that no header may have.
    #[error("the bearer token has characters that a header may not have")]
    Token,
    /// The user agent has characters that no header may have.
    #[error("the user agent {name:?} cannot be a header")]
    UserAgent {
        /// The name.
        name: String,
    },
}

/// Whether a call whose outcome is unknown may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing.
    Safe,
    /// It may have taken effect.
    Unsafe,
}

/// The client. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    shared: Arc<Shared>,
}

struct Shared {
    servers: Arc<str>,
    authorization: Option<MetadataValue<Ascii>>,
    deadline: Duration,
    patience: Duration,
    max_message: usize,
}

impl Client {
    /// Prepares a client. Connects with the first call; must be called within a runtime.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let endpoints =
            config.servers.iter().map(|server| endpoint(&config, server)).collect::<Result<Vec<_>, _>>()?;
        let channel = match endpoints.as_slice() {
            [] => return Err(SetupError::NoServer),
            [only] => only.connect_lazy(),
            _ => Channel::balance_list(endpoints.into_iter()),
        };
        let authorization = match &config.token {
            Some(token) => {
                let mut value: MetadataValue<Ascii> =
                    format!("Bearer {token}").parse().map_err(|_| SetupError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let servers: Vec<String> = config.servers.iter().map(ToString::to_string).collect();
        let shared = Shared {
            servers: servers.join(", ").into(),
            authorization,
            deadline: config.deadline,
            patience: config.patience.min(config.deadline),
            max_message: MAX_MESSAGE,
        };
        Ok(Self { channel, shared: Arc::new(shared) })
    }

    /// The objects of a type in a namespace; an empty namespace means the cluster's, or those of all namespaces.
    #[must_use]
    pub fn api<T: Resource>(&self, namespace: &str) -> Api<T> {
        Api::new(self.clone(), namespace)
    }

    /// The objects of a kind that is known at run time only.
    #[must_use]
    pub fn dynamic(&self, kind: &'static Kind, namespace: &str) -> DynamicApi {
        DynamicApi::new(self.clone(), kind, namespace)
    }

    /// A writer that does not wait for one write before the next.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone())
    }

    /// Logs and commands of containers, which the API server relays to the nodes.
    #[must_use]
    pub fn node(&self) -> NodeClient {
        NodeClient::new(self.clone())
    }

    /// What the API server serves, and its version.
    pub async fn discover(&self) -> Result<DiscoverResponse, Error> {
        self.call(
            Repeat::Safe,
            DiscoverRequest {},
            |mut rpc, request| async move { rpc.discover(request).await },
        )
        .await
    }

    /// This client with another deadline for its calls.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        let shared = Shared {
            servers: self.shared.servers.clone(),
            authorization: self.shared.authorization.clone(),
            deadline,
            patience: self.shared.patience.min(deadline),
            max_message: self.shared.max_message,
        };
        Self { channel: self.channel.clone(), shared: Arc::new(shared) }
    }

    /// A client over a transport of a test's own.
    #[cfg(test)]
    pub(crate) fn over(channel: Channel, deadline: Duration, max_message: usize) -> Self {
        let servers = "test".into();
        let shared = Shared { servers, authorization: None, deadline, patience: deadline, max_message };
        Self { channel, shared: Arc::new(shared) }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn rpc(&self) -> Rpc {
        ResourcesClient::new(self.channel.clone())
            .max_decoding_message_size(self.shared.max_message)
            .max_encoding_message_size(self.shared.max_message)
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.shared.deadline
    }

    pub(crate) fn error(&self, status: tonic::Status) -> Error {
        Error::from_rpc(status, &self.shared.servers, self.shared.deadline)
    }

    /// A request with the credentials, without a deadline: that of a stream.
    pub(crate) fn request<Q>(&self, message: Q) -> tonic::Request<Q> {
        let mut request = tonic::Request::new(message);
        if let Some(authorization) = &self.shared.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    /// Makes a call until it is answered, refused for good, or the deadline passes.
    pub(crate) async fn call<Q, R, F>(
        &self,
        repeat: Repeat,
        message: Q,
        attempt: impl Fn(Rpc, tonic::Request<Q>) -> F,
    ) -> Result<R, Error>
    where
        Q: Clone,
        F: Future<Output = Result<tonic::Response<R>, tonic::Status>>,
    {
        let limit = self.shared.deadline;
        let start = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let mut request = self.request(message.clone());
            request.set_timeout(left);
            let error = match tokio::time::timeout(left, attempt(self.rpc(), request)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => self.error(status),
                Err(_) => return Err(Error::Deadline { limit }),
            };
            let delay = match &error {
                Error::Connect { .. } => backoff.next_delay(),
                Error::Broken { .. } if repeat == Repeat::Safe => backoff.next_delay(),
                Error::Status(status) if status.code == 429 => {
                    error.retry_after().unwrap_or_else(|| backoff.next_delay())
                }
                _ => return Err(error),
            };
            if start.elapsed() + delay >= self.shared.patience {
                return Err(error);
            }
            tokio::time::sleep(delay).await;
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("servers", &self.shared.servers).finish_non_exhaustive()
    }
}

fn endpoint(config: &Config, server: &http::Uri) -> Result<Endpoint, SetupError> {
    let endpoint = Endpoint::from(server.clone())
        .user_agent(config.user_agent.clone())
        .map_err(|_| SetupError::UserAgent { name: config.user_agent.clone() })?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if server.scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let mut tls = ClientTlsConfig::new();
    if let Some(pem) = &config.certificate_authority {
        tls = tls.ca_certificate(Certificate::from_pem(pem));
    }
    if let (Some(certificate), Some(key)) = (&config.client_certificate, &config.client_key) {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    if let Some(name) = &config.server_name {
        tls = tls.domain_name(name);
    }
    endpoint.tls_config(tls).map_err(|source| SetupError::Tls { server: server.to_string(), source })
}
