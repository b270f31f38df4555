//! A command in a container over WebSocket: the client's channels on one side, the kubelet's stream on the other.

mod channels;
mod handshake;
mod idle;
mod outcome;

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use gantry_api::grpc::node::exec_request::Message as Ask;
use gantry_api::grpc::node::exec_response::Message as Told;
use gantry_api::grpc::node::{ContainerRef, ExecRequest, ExecResponse, ExecStart};
use gantry_api::meta::v1::Status;
use http::{Request, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::body::Body;

use self::channels::{Input, Output, Protocol};
use self::handshake::Handshake;
use self::idle::Idle;
use crate::nodes::{Nodes, relay_error};
use crate::status::ApiError;
use crate::verbs::{Target, Verbs};

/// Pieces of input that may wait for the node.
const BACKLOG: usize = 16;
/// The largest message of a client.
const MAX_MESSAGE: usize = 1 << 20;
/// How long the node may take to begin, the connection to become a WebSocket, and a client to take leave.
const START_LIMIT: Duration = Duration::from_secs(60);
const UPGRADE_LIMIT: Duration = Duration::from_secs(10);
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// How long nothing may be moved in either direction, as upstream's `--streaming-connection-idle-timeout`.
const IDLE_LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What a client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) container: String,
    pub(super) command: Vec<String>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

/// Starts the command and answers with the upgrade; what fails before it is an ordinary error.
pub(super) async fn answer(
    verbs: &Verbs,
    nodes: &Nodes,
    target: Target,
    options: Options,
    mut request: Request<Body>,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let handshake = Handshake::read(request.headers())?;
    if !(options.stdin || options.stdout || options.stderr) {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
        ApiError::bad_request("unable to upgrade: only a connection of HTTP/1.1 can be upgraded")
    })?;
    let (mut node, pod) = nodes.of_pod(verbs, &target.namespace, &target.name).await?;
    let container = ContainerRef {
        namespace: target.namespace,
        pod: target.name,
        container: options.container,
        pod_uid: pod.metadata.map(|meta| meta.uid).unwrap_or_default(),
    };
    let (stdout, stderr) = (options.stdout, options.stderr && !options.tty);
    let start = ExecStart {
        container: Some(container),
        command: options.command.clone(),
        stdin: options.stdin,
        stdout,
        stderr,
        tty: options.tty,
    };
    let (asks, receiver) = mpsc::channel(BACKLOG);
    let first = ExecRequest { message: Some(Ask::Start(start)) };
    let requests = futures::stream::iter([first]).chain(ReceiverStream::new(receiver));
    let told = match timeout(START_LIMIT, node.exec(requests)).await {
        Ok(told) => told.map_err(|error| relay_error(&error))?.into_inner(),
        Err(_) => {
            let text = format!("the node did not begin the command within {START_LIMIT:?}");
            return Err(ApiError::internal(text));
        }
    };
    let response = handshake.response()?;
    let session = Session { protocol: handshake.protocol, command: options.command, stdout, stderr };
    tokio::spawn(async move {
        match timeout(UPGRADE_LIMIT, upgrade).await {
            Ok(Ok(connection)) => session.run(connection, asks, told, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "the connection was not upgraded"),
            Err(_) => tracing::debug!(limit = ?UPGRADE_LIMIT, "the connection was not upgraded in time"),
        }
    });
    Ok(response)
}

/// A running command and its client.
struct Session {
    protocol: &'static Protocol,
    command: Vec<String>,
    stdout: bool,
    stderr: bool,
}

impl Session {
    /// Moves bytes both ways until the command ends or the client leaves. The kubelet ends a command whose caller
    /// has gone, which dropping `told` says.
    async fn run(
        self,
        connection: Upgraded,
        asks: mpsc::Sender<ExecRequest>,
        told: Streaming<ExecResponse>,
        stop: CancellationToken,
    ) {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .max_write_buffer_size(2 * MAX_MESSAGE)
            .write_buffer_size(0);
        let socket = Socket::from_raw_socket(TokioIo::new(connection), Role::Server, Some(config)).await;
        let (mut sink, mut stream) = socket.split();
        let idle = Idle::new();
        let ended = tokio::select! {
            ended = self.output(&mut sink, told, &idle) => ended,
            () = self.input(&mut stream, &asks, &idle) => return,
            () = idle.longer_than(IDLE_LIMIT) => {
                tracing::debug!(limit = ?IDLE_LIMIT, "a session was silent for too long");
                Ok(())
            }
            () = stop.cancelled() => Ok(()),
        };
        // What the client still sends is for nobody: it is read so that its leave is seen.
        let leave = async {
            ended?;
            sink.send(Message::Close(None)).await?;
            while let Some(Ok(_)) = stream.next().await {}
            Ok::<_, SocketError>(())
        };
        match timeout(CLOSE_LIMIT, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the client left before the end"),
            Err(_) => tracing::debug!(limit = ?CLOSE_LIMIT, "the client did not take leave"),
        }
    }

    /// What the node tells, to the client; the last is how the command ended.
    async fn output(
        &self,
        sink: &mut SplitSink<Socket, Message>,
        mut told: Streaming<ExecResponse>,
        idle: &Idle,
    ) -> Result<(), SocketError> {
        // An empty message on the first channel there is tells the client that it may begin.
        let first = match (self.stdout, self.stderr) {
            (true, _) => Output::Stdout,
            (false, true) => Output::Stderr,
            (false, false) => Output::Error,
        };
        sink.send(self.protocol.encode(first, &[])).await?;
        let status = loop {
            let message = match told.message().await {
                Ok(Some(message)) => message.message,
                Ok(None) => break outcome::failed("the node told no exit code"),
                Err(error) => break outcome::failed(error.message()),
            };
            idle.touch();
            match message {
                Some(Told::Stdout(data)) => sink.send(self.protocol.encode(Output::Stdout, &data)).await?,
                Some(Told::Stderr(data)) => sink.send(self.protocol.encode(Output::Stderr, &data)).await?,
                Some(Told::ExitCode(code)) => break outcome::exited(&self.command, code),
                None => {}
            }
        };
        self.tell(sink, &status).await
    }

    async fn tell(&self, sink: &mut SplitSink<Socket, Message>, status: &Status) -> Result<(), SocketError> {
        match outcome::message(self.protocol, status) {
            Some(text) => sink.send(self.protocol.encode(Output::Error, &text)).await,
            None => Ok(()),
        }
    }

    /// What the client sends, to the node, until it leaves.
    async fn input(&self, stream: &mut SplitStream<Socket>, asks: &mpsc::Sender<ExecRequest>, idle: &Idle) {
        while let Some(message) = stream.next().await {
            idle.touch();
            let data: Bytes = match message {
                Ok(Message::Binary(data)) => data,
                Ok(Message::Text(text)) => text.into(),
                Ok(Message::Close(_)) => return,
                Ok(_) => continue,
                Err(error) => return tracing::debug!(%error, "the client's connection ended"),
            };
            let ask = match self.protocol.decode(data) {
                Ok(Some(Input::Stdin(data))) => Ask::Stdin(data),
                Ok(Some(Input::CloseStdin)) => Ask::CloseStdin(true),
                Ok(Some(Input::Resize(size))) => Ask::Resize(size),
                Ok(None) => continue,
                Err(error) => {
                    tracing::debug!(%error, "a message was passed over");
                    continue;
                }
            };
            // A command that takes no more input still has its end to tell.
            let _ = asks.send(ExecRequest { message: Some(ask) }).await;
        }
    }
}
