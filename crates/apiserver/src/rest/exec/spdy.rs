//! A session whose client speaks SPDY: a stream for each of the command's.

use std::future::pending;
use std::time::Duration;

use gantry_api::grpc::node::exec_request::Message as Ask;
use gantry_api::grpc::node::exec_response::Message as Told;
use gantry_api::grpc::node::{ExecRequest, ExecResponse, TerminalSize};
use gantry_api::meta::v1::Status;
use gantry_spdy::frame::Cause;
use gantry_spdy::{Gone, Incoming, Input, Output};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Streaming;

use super::super::upgrade::{CLOSE_LIMIT, IDLE_LIMIT, Idle};
use super::channels::Size;
use super::{Options, Session, ended, outcome};

/// What clients may choose from.
pub(super) const PROTOCOLS: [&str; 4] =
    ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
/// How long a client may take to open its streams.
const STREAMS_LIMIT: Duration = Duration::from_secs(30);
/// The sizes of a terminal that may wait to be understood, in bytes.
const MAX_SIZES: usize = 4096;

/// Moves bytes both ways until the command ends or the client leaves.
pub(super) async fn run<T>(session: Session, protocol: Option<&'static str>, connection: T)
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let Session { purpose, options, asks, mut told, stop } = session;
    let (frames, incoming) = gantry_spdy::accept(connection);
    let frames = tokio::spawn(frames);
    let (closer, idle) = (incoming.closer(), Idle::new());
    let resizes = options.tty && matches!(protocol, Some("v4.channel.k8s.io" | "v3.channel.k8s.io"));
    let work = async {
        let Ok(Some(streams)) = timeout(STREAMS_LIMIT, collect(incoming, &options, resizes)).await else {
            return tracing::debug!("the client did not open its streams");
        };
        let Streams { error: (_, mut error), stdin, stdout, stderr, resize } = streams;
        // The outputs that nobody uses are kept: a stream that is reset ends for the client, too.
        let (stdin_in, stdin_out) = stdin.unzip();
        let (_, mut stdout) = stdout.unzip();
        let (_, mut stderr) = stderr.unzip();
        let (resize_in, resize_out) = resize.unzip();
        let status = {
            let output = async {
                let end = output(&mut told, &mut stdout, &mut stderr, &idle).await?;
                Ok::<_, Gone>(ended(purpose, &options.command, end))
            };
            tokio::select! {
                status = output => status,
                () = input(stdin_in.flatten(), &asks, &idle) => Err(Gone),
                () = sizes(resize_in.flatten(), &asks, &idle) => Err(Gone),
                () = error.gone() => Err(Gone),
            }
        };
        let Ok(status) = status else { return tracing::debug!("the client left before the end") };
        let told = tell(&mut error, protocol == Some("v4.channel.k8s.io"), &status).await;
        let outputs = [stdout, stderr].into_iter().flatten();
        for output in outputs.chain(stdin_out).chain(resize_out).chain([error]) {
            // Whoever has reset one stream still gets the ends of the others.
            let _ = output.finish().await;
        }
        if told.is_err() {
            tracing::debug!("the client left before the end");
        }
    };
    tokio::select! {
        () = work => {}
        () = idle.longer_than(IDLE_LIMIT) => tracing::debug!(limit = ?IDLE_LIMIT, "a session was silent for too long"),
        () = stop.cancelled() => {}
    }
    close(closer, frames).await;
}

/// Ends a connection: what waits to be sent is sent, if the client takes it.
pub(in super::super) async fn close(
    closer: gantry_spdy::Closer,
    mut frames: tokio::task::JoinHandle<Result<(), gantry_spdy::Error>>,
) {
    let leave = async {
        closer.close().await;
        (&mut frames).await
    };
    match timeout(2 * CLOSE_LIMIT, leave).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::debug!(%error, "a connection broke"),
        Ok(Err(error)) => tracing::debug!(%error, "a connection was given up"),
        Err(_) => {
            tracing::debug!("the client did not take leave");
            frames.abort();
        }
    }
}

/// The halves of a stream; what the client sends only where somebody reads it.
type Pair = (Option<Input>, Output);

/// The streams that the client has opened.
struct Streams {
    error: Pair,
    stdin: Option<Pair>,
    stdout: Option<Pair>,
    stderr: Option<Pair>,
    resize: Option<Pair>,
}

/// Waits for the streams that the client's options announce; none where it leaves instead. Later ones are refused.
async fn collect(mut incoming: Incoming, options: &Options, resizes: bool) -> Option<Streams> {
    let (mut error, mut stdin, mut stdout, mut stderr, mut resize) = (None, None, None, None, None);
    loop {
        let complete = error.is_some()
            && options.stdin == stdin.is_some()
            && options.stdout == stdout.is_some()
            && options.stderr == stderr.is_some()
            && resizes == resize.is_some();
        if complete {
            return error.map(|error| Streams { error, stdin, stdout, stderr, resize });
        }
        let stream = incoming.next().await?;
        let (place, wanted, read) = match stream.headers().get("streamType") {
            Some("error") => (&mut error, true, false),
            Some("stdin") => (&mut stdin, options.stdin, true),
            Some("stdout") => (&mut stdout, options.stdout, false),
            Some("stderr") => (&mut stderr, options.stderr, false),
            Some("resize") => (&mut resize, resizes, true),
            _ => {
                stream.refuse(Cause::Protocol).await;
                continue;
            }
        };
        if place.is_some() || !wanted {
            stream.refuse(Cause::Refused).await;
        } else {
            let (input, output) = stream.accept().await.ok()?;
            // What comes where nobody reads must not hold up the other streams: without its input it is thrown away.
            *place = Some((read.then_some(input), output));
        }
    }
}

/// What the node tells, to the client. Gives back how it ended.
async fn output(
    told: &mut Streaming<ExecResponse>,
    stdout: &mut Option<Output>,
    stderr: &mut Option<Output>,
    idle: &Idle,
) -> Result<Result<Option<i32>, tonic::Status>, Gone> {
    loop {
        let message = match told.message().await {
            Ok(Some(message)) => message.message,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error)),
        };
        idle.touch();
        let (to, data) = match message {
            Some(Told::Stdout(data)) => (&mut *stdout, data),
            Some(Told::Stderr(data)) => (&mut *stderr, data),
            Some(Told::ExitCode(code)) => return Ok(Ok(Some(code))),
            None => continue,
        };
        if let Some(to) = to {
            to.send(data).await?;
        }
    }
}

/// What the client types, to the node. Returns when the client leaves.
async fn input(stdin: Option<Input>, asks: &mpsc::Sender<ExecRequest>, idle: &Idle) {
    let Some(mut stdin) = stdin else { return pending().await };
    loop {
        let ask = match stdin.next().await {
            Ok(Some(data)) => Ask::Stdin(data),
            Ok(None) => Ask::CloseStdin(true),
            Err(Gone) => return,
        };
        idle.touch();
        let last = matches!(ask, Ask::CloseStdin(_));
        // A command that takes no more input still has its end to tell.
        let _ = asks.send(ExecRequest { message: Some(ask) }).await;
        if last {
            return pending().await;
        }
    }
}

/// The sizes of the client's terminal, to the node. Never returns by itself.
async fn sizes(resize: Option<Input>, asks: &mpsc::Sender<ExecRequest>, idle: &Idle) {
    if let Some(mut resize) = resize {
        let mut text = Vec::new();
        while let Ok(Some(data)) = resize.next().await {
            idle.touch();
            text.extend_from_slice(&data);
            for size in parse_sizes(&mut text) {
                let _ = asks.send(ExecRequest { message: Some(Ask::Resize(size)) }).await;
            }
            if text.len() > MAX_SIZES {
                tracing::debug!("the sizes of a terminal cannot be understood");
                break;
            }
        }
    }
    pending::<()>().await;
}

/// Takes the complete sizes out of the text: JSON objects, one after the other.
fn parse_sizes(text: &mut Vec<u8>) -> Vec<TerminalSize> {
    let mut objects = serde_json::Deserializer::from_slice(text).into_iter::<Size>();
    let mut sizes = Vec::new();
    let mut read = 0;
    while let Some(Ok(size)) = objects.next() {
        sizes.push(size.into());
        read = objects.byte_offset();
    }
    text.drain(..read);
    sizes
}

async fn tell(error: &mut Output, as_status: bool, status: &Status) -> Result<(), Gone> {
    match outcome::message(as_status, status) {
        Some(text) => error.send(text.into()).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_one_after_the_other_and_in_pieces() {
        let mut text = br#"{"Width":80,"Height":24}{"Width":100,"Height":30}{"Wid"#.to_vec();
        let sizes = parse_sizes(&mut text);
        assert_eq!(sizes, [TerminalSize { width: 80, height: 24 }, TerminalSize { width: 100, height: 30 }]);
        text.extend_from_slice(br#"th":7,"Height":8}"#);
        assert_eq!(parse_sizes(&mut text), [TerminalSize { width: 7, height: 8 }]);
        assert!(text.is_empty());
    }
}
