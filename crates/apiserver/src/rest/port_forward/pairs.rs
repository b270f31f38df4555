//! A client that speaks SPDY: two streams for each connection, one for data and one for what goes wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_spdy::frame::Cause;
use gantry_spdy::headers::Headers;
use gantry_spdy::{Gone, Input, Output, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::exec::close;
use super::super::upgrade::{IDLE_LIMIT, Idle};
use super::connection::{Pod, Receiver, Sender};

/// How long one stream waits for the other.
const PAIR_LIMIT: Duration = Duration::from_secs(30);

/// Serves connections until the client leaves.
pub(super) async fn run<T>(pod: Pod, connection: T, stop: CancellationToken)
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let (frames, mut incoming) = gantry_spdy::accept(connection);
    let frames = tokio::spawn(frames);
    let (closer, idle) = (incoming.closer(), Arc::new(Idle::new()));
    let mut waiting = Waiting::default();
    let mut running = JoinSet::new();
    // One future: a client that takes no answers must not keep it from its end.
    let work = async {
        loop {
            tokio::select! {
                stream = incoming.next() => {
                    let Some(stream) = stream else { return };
                    idle.touch();
                    if let Some(pair) = waiting.take(stream).await {
                        running.spawn(forward(pod.clone(), pair, idle.clone()));
                    }
                }
                Some(ended) = running.join_next() => {
                    if let Err(error) = ended {
                        tracing::warn!(%error, "a connection to a pod was given up");
                    }
                }
                () = waiting.expire() => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = idle.longer_than(IDLE_LIMIT) => {}
        () = stop.cancelled() => {}
    }
    running.shutdown().await;
    drop(waiting);
    close(closer, frames).await;
}

/// Both streams of a connection.
struct Pair {
    port: u16,
    data: (Input, Output),
    error: (Input, Output),
}

/// One stream of a connection.
struct Half {
    port: u16,
    is_error: bool,
    streams: (Input, Output),
    until: Instant,
}

/// Streams that wait for their others, by request.
#[derive(Default)]
struct Waiting(HashMap<String, Half>);

impl Waiting {
    /// Takes a stream. Gives back both where the other one was there.
    async fn take(&mut self, stream: Stream) -> Option<Pair> {
        let (request, port, is_error) = match read(stream.headers(), stream.id()) {
            Ok(read) => read,
            Err(why) => {
                tracing::debug!(why, "a stream was refused");
                stream.refuse(Cause::Protocol).await;
                return None;
            }
        };
        let streams = stream.accept().await.ok()?;
        let until = Instant::now() + PAIR_LIMIT;
        let half = Half { port, is_error, streams, until };
        match self.0.remove(&request) {
            Some(other) if other.is_error != half.is_error => {
                let (error, data) = if is_error { (half, other) } else { (other, half) };
                Some(Pair { port: data.port, data: data.streams, error: error.streams })
            }
            // A second one of the same kind takes the place of the first.
            Some(_) | None => {
                self.0.insert(request, half);
                None
            }
        }
    }

    /// Gives up streams whose others did not come in time: they are reset. Returns after it did so; never, where none
    /// waits.
    async fn expire(&mut self) {
        let Some(first) = self.0.values().map(|half| half.until).min() else {
            return std::future::pending().await;
        };
        sleep_until(first).await;
        self.0.retain(|_, half| half.until > first);
    }
}

/// Request, port, and whether it is the stream for what goes wrong.
fn read(headers: &Headers, id: u32) -> Result<(String, u16, bool), String> {
    let port = headers.get("port").filter(|port| !port.is_empty());
    let port = port.ok_or_else(|| r#""port" header is required"#.to_owned())?;
    let number: u16 = port.parse().map_err(|error| format!("unable to parse {port:?} as a port: {error}"))?;
    if number == 0 {
        return Err(format!("port {port:?} must be > 0"));
    }
    let is_error = match headers.get("streamType") {
        Some("error") => true,
        Some("data") => false,
        None | Some("") => return Err(r#""streamType" header is required"#.to_owned()),
        Some(other) => return Err(format!("invalid stream type {other:?}")),
    };
    let request = match headers.get("requestID") {
        Some(request) if !request.is_empty() => request.to_owned(),
        // The oldest clients do not number them: they open the stream for errors first, and the other one at once.
        _ if is_error => id.to_string(),
        _ => id.saturating_sub(2).to_string(),
    };
    Ok((request, number, is_error))
}

/// Serves one connection.
async fn forward(pod: Pod, pair: Pair, idle: Arc<Idle>) {
    let Pair { port, data: (input, mut output), error: (error_in, mut error) } = pair;
    // What comes where nobody reads must not hold up the other streams: without its input it is thrown away.
    drop(error_in);
    let told = match pod.connect(port).await {
        Ok((sender, mut receiver)) => {
            tokio::select! {
                told = down(&mut receiver, &mut output, &idle) => told.map_err(|why| pod.failure(port, &why)),
                () = up(input, sender, &idle) => return,
            }
        }
        Err(why) => Err(why),
    };
    if let Err(why) = told {
        // A client that does not listen does not learn it.
        let _ = error.send(why.into()).await;
    }
    let _ = (error.finish().await, output.finish().await);
}

/// What the pod sends.
async fn down(receiver: &mut Receiver, output: &mut Output, idle: &Idle) -> Result<(), String> {
    loop {
        match receiver.next().await {
            Ok(Some(data)) => {
                idle.touch();
                // A client that wants no more ends it.
                if output.send(data).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(error.message().to_owned()),
        }
    }
}

/// What the client sends. Returns when the client gives the connection up; when it has only nothing more to send, the
/// pod may still have.
async fn up(mut input: Input, sender: Sender, idle: &Idle) {
    loop {
        match input.next().await {
            Ok(Some(data)) => {
                idle.touch();
                if !sender.send(data).await {
                    // The pod's side tells how it ended; what still comes is for nobody.
                    drop(input);
                    return std::future::pending().await;
                }
            }
            Ok(None) => {
                drop(sender);
                return std::future::pending().await;
            }
            Err(Gone) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_belong_together_by_their_request() {
        let headers =
            |port: &str, r#type: &str| Headers::default().with("port", port).with("streamType", r#type);
        let numbered = headers("80", "data").with("requestID", "7");
        assert_eq!(read(&numbered, 9), Ok(("7".into(), 80, false)));
        assert_eq!(read(&headers("80", "error"), 5), Ok(("5".into(), 80, true)));
        assert_eq!(read(&headers("80", "data"), 7), Ok(("5".into(), 80, false)));
        for (headers, why) in [
            (Headers::default(), "\"port\" header is required"),
            (headers("0", "data"), "port \"0\" must be > 0"),
            (headers("x", "data"), "unable to parse \"x\" as a port"),
            (headers("1", ""), "\"streamType\" header is required"),
            (headers("1", "other"), "invalid stream type \"other\""),
        ] {
            assert!(read(&headers, 1).unwrap_err().starts_with(why), "{why}");
        }
    }
}
