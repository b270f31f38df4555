//! The port: TLS, HTTP/1.1 and HTTP/2, bounded connections, and an end that loses no answer.

mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::{Service, ServiceExt};

pub use tls::{TlsError, TlsFiles};

use self::tls::Authorities;
use crate::pipeline::{Peer, User};

/// Connections served at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 8192;
/// How many connections the kernel queues for a listener.
const BACKLOG: u32 = 4096;
/// How long a client may take for the TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long an HTTP/1.1 client may take to send a request's head.
const HEADER_LIMIT: Duration = Duration::from_secs(30);
/// How often a silent HTTP/2 client is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(15);
/// Requests under way on one HTTP/2 connection: watches count, and a controller has one for each kind.
const MAX_STREAMS: u32 = 1000;
/// How long running requests may take to finish once the server ends.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Why the port is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be bound.
    #[error("--bind-address {address} cannot be bound")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The bound port, ready to serve.
pub struct Server {
    listeners: Vec<TcpListener>,
    tls: TlsAcceptor,
    authorities: Authorities,
}

impl Server {
    /// Binds every address; port 0 picks a free one.
    pub fn bind(addresses: &[SocketAddr], tls: &TlsFiles) -> Result<Self, Error> {
        let (config, authorities) = tls.load()?;
        let tls = TlsAcceptor::from(Arc::new(config));
        let listeners = addresses
            .iter()
            .map(|&address| listen(address).map_err(|source| Error::Bind { address, source }))
            .collect::<Result<_, _>>()?;
        Ok(Self { listeners, tls, authorities })
    }

    /// The bound addresses.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `stop`, then lets running requests finish for a bounded time.
    pub async fn run<S>(self, service: S, stop: CancellationToken)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let connections = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accepting = self.listeners.into_iter().map(|listener| {
            let acceptor = Acceptor {
                tls: self.tls.clone(),
                authorities: self.authorities.clone(),
                service: service.clone(),
                stop: stop.clone(),
                connections: connections.clone(),
                slots: Arc::clone(&slots),
            };
            acceptor.run(listener)
        });
        futures::future::join_all(accepting).await;
        connections.close();
        tracing::info!(connections = connections.len(), "draining");
        if tokio::time::timeout(DRAIN_LIMIT, connections.wait()).await.is_err() {
            tracing::warn!(connections = connections.len(), limit = ?DRAIN_LIMIT, "connections cut off");
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the old process' connections to leave TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What accepts on one address.
#[derive(Clone)]
struct Acceptor<S> {
    tls: TlsAcceptor,
    authorities: Authorities,
    service: S,
    stop: CancellationToken,
    connections: TaskTracker,
    slots: Arc<Semaphore>,
}

impl<S> Acceptor<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    async fn run(self, listener: TcpListener) {
        loop {
            // The semaphore is never closed, so a slot always comes; if it were, accepting ends.
            let slot = tokio::select! {
                () = self.stop.cancelled() => return,
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { return };
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let acceptor = self.clone();
                    self.connections.spawn(async move {
                        acceptor.serve(stream, peer).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Mostly out of file descriptors: some may be free in a moment.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "nodelay not set");
        }
        let stream = match tokio::time::timeout(HANDSHAKE_LIMIT, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!(%peer, "TLS handshake timed out"),
        };
        let identified = match self.authorities.identify(stream.get_ref().1) {
            Ok(identified) => identified,
            Err(error) => return tracing::warn!(%peer, %error, "client certificate not usable"),
        };
        let user = Arc::new(identified.user.unwrap_or_else(User::anonymous));
        let peer = Arc::new(Peer {
            address: peer,
            front_proxy: identified.front_proxy,
            presented: identified.presented,
        });
        let address = peer.address;
        let service = self.service.map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert::<Arc<User>>(Arc::clone(&user));
            request.extensions_mut().insert::<Arc<Peer>>(Arc::clone(&peer));
            request
        });
        let builder = http_builder();
        let mut connection = pin!(
            builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %address, error, "connection ended");
        }
    }
}

fn http_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_LIMIT)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(64 << 10);
    builder
}
