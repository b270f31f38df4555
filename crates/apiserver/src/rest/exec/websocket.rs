//! A session whose client has a WebSocket.

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use gantry_api::grpc::node::exec_request::Message as Ask;
use gantry_api::grpc::node::exec_response::Message as Told;
use gantry_api::grpc::node::{ExecRequest, ExecResponse};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tonic::Streaming;

use super::super::upgrade::{CLOSE_LIMIT, IDLE_LIMIT, Idle, Socket, WebSocket, closing, pings};
use super::channels::{Input, Output, Protocol};
use super::{Options, Purpose, Session, ended, outcome};

/// Moves bytes both ways until the command ends or the client leaves.
pub(super) async fn run(session: Session, protocol: &'static Protocol, connection: TokioIo<Upgraded>) {
    let Session { purpose, options, asks, told, stop } = session;
    let socket = WebSocket::open(connection).await;
    let (mut sink, mut stream) = socket.split();
    let idle = Idle::new();
    let client = Client { protocol, purpose, options };
    let ended = tokio::select! {
        ended = client.output(&mut sink, told, &idle) => ended,
        () = client.input(&mut stream, &asks, &idle) => return,
        () = idle.longer_than(IDLE_LIMIT) => {
            tracing::debug!(limit = ?IDLE_LIMIT, "a session was silent for too long");
            Ok(())
        }
        () = stop.cancelled() => Ok(()),
    };
    // What the client still sends is for nobody: it is read so that its leave is seen.
    let leave = async {
        ended?;
        sink.send(closing()).await?;
        while let Some(Ok(_)) = stream.next().await {}
        Ok::<_, SocketError>(())
    };
    match timeout(CLOSE_LIMIT, leave).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the client left before the end"),
        Err(_) => tracing::debug!(limit = ?CLOSE_LIMIT, "the client did not take leave"),
    }
}

struct Client {
    protocol: &'static Protocol,
    purpose: Purpose,
    options: Options,
}

impl Client {
    /// What the node tells, to the client; the last is how it ended.
    async fn output(
        &self,
        sink: &mut SplitSink<Socket, Message>,
        mut told: Streaming<ExecResponse>,
        idle: &Idle,
    ) -> Result<(), SocketError> {
        // An empty message on the first channel there is tells the client that it may begin.
        let first = match (self.options.stdout, self.options.stderr) {
            (true, _) => Output::Stdout,
            (false, true) => Output::Stderr,
            (false, false) => Output::Error,
        };
        sink.send(self.protocol.encode(first, &[])).await?;
        let mut pings = pings();
        let end = loop {
            let message = tokio::select! {
                message = told.message() => message,
                _ = pings.tick() => {
                    sink.send(Message::Ping(Bytes::new())).await?;
                    continue;
                }
            };
            let message = match message {
                Ok(Some(message)) => message.message,
                Ok(None) => break Ok(None),
                Err(error) => break Err(error),
            };
            idle.touch();
            match message {
                Some(Told::Stdout(data)) => sink.send(self.protocol.encode(Output::Stdout, &data)).await?,
                Some(Told::Stderr(data)) => sink.send(self.protocol.encode(Output::Stderr, &data)).await?,
                Some(Told::ExitCode(code)) => break Ok(Some(code)),
                None => {}
            }
        };
        let status = ended(self.purpose, &self.options.command, end);
        match outcome::message(self.protocol.status, &status) {
            Some(text) => sink.send(self.protocol.encode(Output::Error, &text)).await,
            None => Ok(()),
        }
    }

    /// What the client sends, to the node, until it leaves.
    async fn input(&self, stream: &mut SplitStream<Socket>, asks: &mpsc::Sender<ExecRequest>, idle: &Idle) {
        while let Some(message) = stream.next().await {
            let data: Bytes = match message {
                Ok(Message::Binary(data)) => data,
                Ok(Message::Text(text)) => text.into(),
                Ok(Message::Close(_)) => return,
                // Pings and their answers move nothing.
                Ok(_) => continue,
                Err(error) => return tracing::debug!(%error, "the client's connection ended"),
            };
            idle.touch();
            let ask = match self.protocol.decode(&data) {
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
