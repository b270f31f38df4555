//! A client with a WebSocket: two channels for each port, one for data and one for what goes wrong.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::super::upgrade::{CLOSE_LIMIT, IDLE_LIMIT, Idle, Socket, closing, decode, encode, pings};
use super::connection::Pod;
use crate::status::ApiError;

/// What clients may choose from; who chooses nothing gets the first form.
pub(super) const PROTOCOLS: [&str; 3] = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""];
/// Pieces that may wait for a port, and messages that may wait for the client.
const BACKLOG: usize = 8;
/// A channel is a byte, a port has two; in base64 it is a digit or a letter after them.
const MAX_PORTS: usize = 100;

/// Whether the ports of a request can be served.
pub(super) fn check(ports: &[u16]) -> Result<(), ApiError> {
    if ports.is_empty() {
        return Err(ApiError::bad_request(r#"query parameter "port" is required"#));
    }
    if ports.contains(&0) {
        return Err(ApiError::bad_request(r#"port "0" must be > 0"#));
    }
    if ports.len() > MAX_PORTS {
        return Err(ApiError::bad_request(format!(
            "ports: {} are too many, at most {MAX_PORTS}",
            ports.len()
        )));
    }
    Ok(())
}

/// Serves one connection to each port until all have ended or the client leaves.
pub(super) async fn run(pod: Pod, ports: &[u16], protocol: &str, socket: Socket, stop: CancellationToken) {
    let base64 = protocol == "v4.base64.channel.k8s.io";
    let (mut sink, mut stream) = socket.split();
    let (out, mut queue) = mpsc::channel::<(u8, Bytes)>(BACKLOG);
    let (mut inputs, mut running) = (Vec::new(), JoinSet::new());
    for (channel, port) in (0u8..).step_by(2).zip(ports.iter().copied()) {
        let (input, pieces) = mpsc::channel(BACKLOG);
        inputs.push(input);
        running.spawn(forward(pod.clone(), port, channel, pieces, out.clone()));
    }
    drop(out);
    let idle = Idle::new();
    let output = async {
        let mut pings = pings();
        loop {
            let message = tokio::select! {
                piece = queue.recv() => {
                    // All connections have ended, and all that they said is sent: the client learns it by the end.
                    let Some((channel, data)) = piece else { return };
                    idle.touch();
                    encode(base64, channel, &data)
                }
                _ = pings.tick() => Message::Ping(Bytes::new()),
            };
            if let Err(error) = sink.send(message).await {
                return tracing::debug!(%error, "the client left");
            }
        }
    };
    let input = async {
        while let Some(Ok(message)) = stream.next().await {
            let data: Bytes = match message {
                Message::Binary(data) => data,
                Message::Text(text) => text.into(),
                Message::Close(_) => return,
                // Pings and their answers move nothing.
                _ => continue,
            };
            idle.touch();
            let Some((channel, data)) = decode(base64, &data) else {
                tracing::debug!("a message was passed over");
                continue;
            };
            // Nothing is to be said on the channels for errors, and to connections that have ended.
            if channel % 2 == 0
                && let Some(input) = inputs.get(usize::from(channel / 2))
            {
                let _ = input.send(data).await;
            }
        }
    };
    tokio::select! {
        () = output => {}
        () = input => {}
        () = idle.longer_than(IDLE_LIMIT) => {}
        () = stop.cancelled() => {}
    }
    running.shutdown().await;
    // A client that has left already does not hear it.
    let _ = timeout(CLOSE_LIMIT, sink.send(closing())).await;
}

/// Serves one connection.
async fn forward(
    pod: Pod,
    port: u16,
    channel: u8,
    mut pieces: mpsc::Receiver<Bytes>,
    out: mpsc::Sender<(u8, Bytes)>,
) {
    // Each channel begins with its port.
    for channel in [channel, channel + 1] {
        if out.send((channel, Bytes::copy_from_slice(&port.to_le_bytes()))).await.is_err() {
            return;
        }
    }
    let why = match pod.connect(port).await {
        Err(why) => Some(why),
        Ok((sender, mut receiver)) => {
            let up = async {
                while let Some(data) = pieces.recv().await {
                    if !sender.send(data).await {
                        break;
                    }
                }
                // What is still said to this port must not hold up the others.
                drop(pieces);
                std::future::pending::<()>().await;
            };
            let down = async {
                loop {
                    match receiver.next().await {
                        Ok(Some(data)) => {
                            if out.send((channel, data)).await.is_err() {
                                return None;
                            }
                        }
                        Ok(None) => return None,
                        Err(error) => return Some(pod.failure(port, error.message())),
                    }
                }
            };
            tokio::select! {
                why = down => why,
                () = up => None,
            }
        }
    };
    if let Some(why) = why {
        // A client that has left does not learn it.
        let _ = out.send((channel + 1, why.into())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_asked_for() {
        assert!(check(&[80]).is_ok());
        for ports in [&[][..], &[0], &[1; 101]] {
            assert!(check(ports).is_err());
        }
    }
}
