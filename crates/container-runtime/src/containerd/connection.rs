//! The connection to containerd: one channel that reconnects by itself, and the headers of every request.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::diff_client::DiffClient;
use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::version_client::VersionClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use crate::error::chain;
use crate::{Error, Result};

/// Lists carry whole specifications.
const MAX_MESSAGE: usize = 64 << 20;

/// For calls that only look something up or write a record.
pub(super) const SHORT: Duration = Duration::from_secs(30);

/// For calls that run runc or move data.
pub(super) const LONG: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub(super) struct Connection {
    channel: Channel,
    namespace: MetadataValue<Ascii>,
}

impl Connection {
    /// Connects on first use, and again whenever the connection broke.
    pub(super) fn new(socket: &Path, namespace: &str) -> Result<Self> {
        let invalid = |field, value: &str, reason: &str| Error::InvalidConfig {
            field,
            value: value.to_owned(),
            reason: reason.to_owned(),
        };
        let namespace_header = namespace
            .parse()
            .map_err(|_| invalid("namespace", namespace, "must be made of visible ASCII characters"))?;
        // The address is never used: the connector goes to the socket.
        let endpoint = Endpoint::from_static("http://containerd");
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
        });
        Ok(Self { channel: endpoint.connect_with_connector_lazy(connector), namespace: namespace_header })
    }

    /// A request in this namespace that containerd gives up after `limit`.
    pub(super) fn request<T>(&self, message: T, limit: Duration) -> Request<T> {
        let mut request = self.stream_request(message);
        request.set_timeout(limit);
        request
    }

    /// A request in this namespace without a limit.
    pub(super) fn stream_request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("containerd-namespace", self.namespace.clone());
        request
    }

    pub(super) fn namespace(&self) -> &str {
        // It was parsed from a string.
        self.namespace.to_str().unwrap_or_default()
    }

    pub(super) fn containers(&self) -> ContainersClient<Channel> {
        ContainersClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn tasks(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn snapshots(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.channel.clone())
    }

    pub(super) fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn content(&self) -> ContentClient<Channel> {
        ContentClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn diff(&self) -> DiffClient<Channel> {
        DiffClient::new(self.channel.clone())
    }

    pub(super) fn leases(&self) -> LeasesClient<Channel> {
        LeasesClient::new(self.channel.clone())
    }

    pub(super) fn events(&self) -> EventsClient<Channel> {
        EventsClient::new(self.channel.clone())
    }

    pub(super) fn version(&self) -> VersionClient<Channel> {
        VersionClient::new(self.channel.clone())
    }
}

/// Puts a request under a lease: what it makes is kept until the lease is gone, even if nothing refers to it yet.
pub(super) fn leased<T>(mut request: Request<T>, lease: &MetadataValue<Ascii>) -> Request<T> {
    request.metadata_mut().insert("containerd-lease", lease.clone());
    request
}

/// Waits for an answer, somewhat longer than containerd itself was told to, and translates its refusals.
pub(super) async fn call<T>(
    name: &'static str,
    limit: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T> {
    match tokio::time::timeout(limit + Duration::from_secs(1), answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(failure(name, limit, &status)),
        Err(_) => Err(Error::Deadline { call: name, after: limit }),
    }
}

/// What containerd's refusal means. `NotFound` and `AlreadyExists` carry the whole message as the name: callers that
/// know better replace it.
fn failure(call: &'static str, limit: Duration, status: &Status) -> Error {
    let message = status.message().to_owned();
    match status.code() {
        Code::NotFound => Error::NotFound { kind: call, name: message },
        Code::AlreadyExists => Error::AlreadyExists { kind: call, name: message },
        Code::DeadlineExceeded => Error::Deadline { call, after: limit },
        Code::Cancelled if message == "Timeout expired" => Error::Deadline { call, after: limit },
        // A connection that cannot be made, or breaks during the call.
        Code::Unavailable | Code::Unknown | Code::Cancelled if status.source().is_some() => {
            let cause = status.source().map(chain).unwrap_or_default();
            Error::Unavailable { call, reason: format!("{message}: {cause}") }
        }
        Code::Unavailable => Error::Unavailable { call, reason: message },
        _ => Error::Runtime { call, reason: message },
    }
}

/// Extensions for results whose failure may already be what was wanted.
pub(super) trait Tolerate<T> {
    /// What does not exist is no error here.
    fn or_missing(self) -> Result<Option<T>>;
}

impl<T> Tolerate<T> for Result<T> {
    fn or_missing(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
