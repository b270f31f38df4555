//! Calls to etcd: connections, deadlines, and which attempt may be repeated.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use etcd_client::{
    CompactionOptions, ConnectOptions, GetOptions, GetResponse, KvClient, LeaseClient, Txn, TxnResponse,
    WatchClient,
};
use tokio::time::Instant;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::{config::EtcdConfig, failure::Failure};
use crate::{Error, Result};

/// Pings on idle and busy connections alike, so that a dead peer is noticed. etcd resents more than one in 5 s.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an endpoint that refused a connection is asked last.
const DOWN_FOR: Duration = Duration::from_secs(1);
/// Lists are fetched in pages, so answers stay far below; etcd itself limits values.
const MAX_ANSWER: usize = 1 << 30;
/// Flow control windows that do not make a large page wait for round trips.
const WINDOW: u32 = 4 << 20;

/// The connections to all endpoints.
pub(super) struct Client {
    endpoints: Vec<Member>,
    next: AtomicUsize,
    started: Instant,
    timeout: Duration,
}

/// One endpoint with its connections.
struct Member {
    connections: Vec<Connection>,
    /// Milliseconds after the client's start until which this endpoint is asked last.
    down_until: AtomicU64,
}

struct Connection {
    kv: KvClient,
    lease: LeaseClient,
    watch: WatchClient,
}

/// Why a transaction failed.
pub(super) enum TransactError {
    /// It names a lease that is gone; nothing was written.
    LeaseNotFound,
    Other(Failure),
}

impl TransactError {
    pub(super) fn into_store_error(self, key: &str) -> Error {
        match self {
            Self::LeaseNotFound => Failure::LeaseNotFound.of_write(key),
            Self::Other(failure) => failure.of_write(key),
        }
    }
}

impl Client {
    pub(super) async fn new(config: EtcdConfig) -> Result<Self> {
        if config.endpoints.is_empty() {
            return Err(Error::Internal { reason: "no etcd endpoint is configured".to_owned() });
        }
        let mut endpoints = Vec::with_capacity(config.endpoints.len());
        for url in &config.endpoints {
            endpoints.push(Member::new(url, &config).await?);
        }
        let (next, started) = (AtomicUsize::new(0), Instant::now());
        Ok(Self { endpoints, next, started, timeout: config.request_timeout })
    }

    /// Reads keys.
    pub(super) async fn range(&self, key: impl Into<Vec<u8>>, options: GetOptions) -> Result<GetResponse> {
        let key = key.into();
        let read = |connection: &Connection| {
            let (mut kv, key, options) = (connection.kv.clone(), key.clone(), options.clone());
            async move { kv.get(key, Some(options)).await }
        };
        self.call(Repeat::AnyFailure, read).await.map_err(Failure::of_read)
    }

    /// Runs a transaction that writes `key`. Tried again only where the first attempt was surely not sent.
    pub(super) async fn transact(&self, key: &str, txn: Txn) -> Result<TxnResponse, TransactError> {
        let write = |connection: &Connection| {
            let (mut kv, txn) = (connection.kv.clone(), txn.clone());
            async move { kv.txn(txn).await }
        };
        self.call(Repeat::NotSent, write).await.map_err(|failure| match failure {
            Failure::LeaseNotFound => TransactError::LeaseNotFound,
            failure => {
                tracing::debug!(key, ?failure, "transaction failed");
                TransactError::Other(failure)
            }
        })
    }

    /// Makes a lease that no one keeps alive. One that was granted without our knowing it just runs out, so
    /// the call may be repeated.
    pub(super) async fn grant_lease(&self, ttl: Duration) -> Result<i64> {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX).max(1);
        let grant = |connection: &Connection| {
            let mut lease = connection.lease.clone();
            async move { lease.grant(seconds, None).await }
        };
        self.call(Repeat::AnyFailure, grant).await.map(|lease| lease.0.id).map_err(Failure::of_read)
    }

    /// Forgets the history before `revision`. Repeating it does no harm, and an earlier one by somebody else
    /// (or our own, whose answer was lost) is as good.
    pub(super) async fn compact(&self, revision: i64) -> Result<()> {
        let compact = |connection: &Connection| {
            let mut kv = connection.kv.clone();
            async move { kv.compact(revision, None::<CompactionOptions>).await }
        };
        match self.call(Repeat::AnyFailure, compact).await.map_err(Failure::of_read) {
            Ok(_) | Err(Error::Compacted { .. }) => Ok(()),
            Err(error) => Err(super::failure::at_revision(error, Some(revision))),
        }
    }

    /// A client for one long watch stream, each time of another endpoint if that is possible.
    pub(super) fn watch_client(&self) -> Option<WatchClient> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let member = self.in_order(turn).next()?;
        Some(member.connection(turn / self.endpoints.len()).watch.clone())
    }

    /// One call: tries each endpoint once, a single one twice (the first attempt may meet a connection that
    /// broke while idle), all within the deadline.
    async fn call<T, Fut>(&self, repeat: Repeat, attempt: impl Fn(&Connection) -> Fut) -> Result<T, Failure>
    where
        Fut: Future<Output = Result<T, etcd_client::Error>>,
    {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let deadline = Instant::now() + self.timeout;
        let attempts = self.endpoints.len().max(2);
        let mut last = Failure::NotSent("no endpoint was tried".to_owned());
        for member in self.in_order(turn).cycle().take(attempts) {
            let connection = member.connection(turn / self.endpoints.len());
            let Ok(answer) = tokio::time::timeout_at(deadline, attempt(connection)).await else {
                return Err(Failure::DeadlinePassed(self.timeout));
            };
            last = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error.into(),
            };
            if matches!(last, Failure::NotSent(_)) {
                member.mark_down(self.started.elapsed());
            }
            if !repeat.allows(&last) {
                break;
            }
        }
        Err(last)
    }

    /// All endpoints, beginning with another one each turn, those that are down last.
    fn in_order(&self, turn: usize) -> impl Iterator<Item = &Member> + Clone {
        let now = self.started.elapsed();
        let count = self.endpoints.len();
        let turned = (0..count).map(move |offset| &self.endpoints[(turn + offset) % count]);
        let up = turned.clone().filter(move |member| !member.is_down(now));
        up.chain(turned.filter(move |member| member.is_down(now)))
    }
}

/// Which failures of an attempt allow another one.
#[derive(Clone, Copy)]
enum Repeat {
    /// The request changes nothing, or the same each time.
    AnyFailure,
    /// The request must be carried out at most once.
    NotSent,
}

impl Repeat {
    fn allows(self, failure: &Failure) -> bool {
        match failure {
            Failure::NotSent(_) => true,
            Failure::Refused(_) | Failure::Lost(_) => matches!(self, Self::AnyFailure),
            Failure::DeadlinePassed(_) | Failure::LeaseNotFound | Failure::Definite(_) => false,
        }
    }
}

impl Member {
    async fn new(url: &str, config: &EtcdConfig) -> Result<Self> {
        let endpoint = endpoint(url, config)?;
        let mut connections = Vec::with_capacity(config.connections.max(1));
        for _ in 0..connections.capacity() {
            connections.push(Connection::new(&endpoint).await?);
        }
        Ok(Self { connections, down_until: AtomicU64::new(0) })
    }

    fn connection(&self, turn: usize) -> &Connection {
        &self.connections[turn % self.connections.len()]
    }

    fn is_down(&self, now: Duration) -> bool {
        u128::from(self.down_until.load(Ordering::Relaxed)) > now.as_millis()
    }

    fn mark_down(&self, now: Duration) {
        let until = u64::try_from((now + DOWN_FOR).as_millis()).unwrap_or(u64::MAX);
        self.down_until.store(until, Ordering::Relaxed);
    }
}

impl Connection {
    /// Connects when first used.
    async fn new(endpoint: &Endpoint) -> Result<Self> {
        let channel = etcd_client::Channel::Tonic(endpoint.connect_lazy());
        // A member that has lost its leader refuses at once then, and says that it did nothing.
        let options = ConnectOptions::new().with_require_leader(true);
        let client = etcd_client::Client::from_channel(channel, Some(options)).await;
        let client = client.map_err(|error| Error::Internal { reason: error.to_string() })?;
        Ok(Self {
            kv: client.kv_client().max_decoding_message_size(MAX_ANSWER),
            lease: client.lease_client(),
            watch: client.watch_client().max_decoding_message_size(MAX_ANSWER),
        })
    }
}

fn endpoint(url: &str, config: &EtcdConfig) -> Result<Endpoint> {
    let invalid = |error: &dyn std::fmt::Display| Error::Internal {
        reason: format!(
            "etcd endpoint {url:?} is not usable, give http://host:port or https://host:port: {error}"
        ),
    };
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| invalid(&error))?
        .connect_timeout(config.connect_timeout)
        .tcp_nodelay(true)
        .keep_alive_while_idle(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW);
    match (&config.tls, endpoint.uri().scheme_str()) {
        (Some(tls), Some("https")) => {
            let mut settings = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.ca));
            if let Some(identity) = &tls.identity {
                settings = settings.identity(Identity::from_pem(&identity.certificate, &identity.key));
            }
            if let Some(name) = &tls.server_name {
                settings = settings.domain_name(name);
            }
            endpoint = endpoint.tls_config(settings).map_err(|error| invalid(&error))?;
        }
        (None, Some("http")) => {}
        (Some(_), _) => return Err(invalid(&"certificates are configured, but it is not https")),
        (None, _) => return Err(invalid(&"https needs certificates")),
    }
    Ok(endpoint)
}
