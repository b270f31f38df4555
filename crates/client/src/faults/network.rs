//! A network in memory: one address, behind which servers come and go, and connections that break or fall silent.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

const BUFFER: usize = 64 << 10;

pub(super) type Incoming = UnboundedReceiverStream<io::Result<DuplexStream>>;

/// Cheap to clone; clones are the same network.
#[derive(Clone)]
pub(super) struct Network {
    state: Arc<Mutex<State>>,
    silent: Arc<watch::Sender<bool>>,
}

struct State {
    listener: Option<mpsc::UnboundedSender<io::Result<DuplexStream>>>,
    connections: CancellationToken,
}

impl Network {
    pub(super) fn new() -> Self {
        let state = State { listener: None, connections: CancellationToken::new() };
        Self { state: Arc::new(Mutex::new(state)), silent: Arc::new(watch::Sender::new(false)) }
    }

    /// The connections that come from now on. An earlier listener gets no more.
    pub(super) fn listen(&self) -> Incoming {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state.lock().listener = Some(sender);
        UnboundedReceiverStream::new(receiver)
    }

    /// Nobody listens any more: connections are refused, those that are open break.
    pub(super) fn close(&self) {
        self.state.lock().listener = None;
        self.cut();
    }

    /// Breaks the connections that are open.
    pub(super) fn cut(&self) {
        let mut state = self.state.lock();
        std::mem::replace(&mut state.connections, CancellationToken::new()).cancel();
    }

    /// While silent, nothing arrives at either end, and nothing says so.
    pub(super) fn silence(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    /// A client's side, which connects as often as it needs to.
    pub(super) fn channel(&self) -> Channel {
        let network = self.clone();
        let connector = tower::service_fn(move |_| {
            let connection = network.connect();
            async move { connection.map(TokioIo::new) }
        });
        Endpoint::from_static("http://server.test")
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector)
    }

    fn connect(&self) -> io::Result<DuplexStream> {
        let state = self.state.lock();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let listener = state.listener.as_ref().ok_or_else(refused)?;
        let (client, near) = duplex(BUFFER);
        let (far, server) = duplex(BUFFER);
        listener.send(Ok(server)).map_err(|_| refused())?;
        let (cut, silent) = (state.connections.clone(), self.silent.subscribe());
        tokio::spawn(cut.run_until_cancelled_owned(relay(near, far, silent)));
        Ok(client)
    }
}

async fn relay(near: DuplexStream, far: DuplexStream, silent: watch::Receiver<bool>) {
    let (from_near, to_near) = split(near);
    let (from_far, to_far) = split(far);
    tokio::join!(pump(from_near, to_far, silent.clone()), pump(from_far, to_near, silent));
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        // The sender lives as long as the network.
        let heard = silent.wait_for(|silent| !silent).await.is_ok();
        if !heard || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The other end is gone already, or learns it now.
    let _ = to.shutdown().await;
}
