//! Running a command in a container, with its streams.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use gantry_api::grpc::node::exec_request::Message as In;
use gantry_api::grpc::node::exec_response::Message as Out;
use gantry_api::grpc::node::{ExecRequest, ExecResponse, ExecStart};
use gantry_container_runtime::{
    Error as RuntimeError, ExecConfig, ExecControl, ExecSession, Reader, TerminalSize, Writer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Answers, Service};

/// Pieces of output that may wait for the caller.
const BACKLOG: usize = 16;
const PIECE: usize = 16 * 1024;
const SIGKILL: i32 = 9;

type Answer = Result<ExecResponse, Status>;

pub(super) async fn serve(
    service: &Service,
    mut requests: Streaming<ExecRequest>,
) -> Result<Answers<ExecResponse>, Status> {
    let first = requests.message().await?.and_then(|request| request.message);
    let Some(In::Start(start)) = first else {
        return Err(Status::invalid_argument("the first message must say what to run"));
    };
    let ExecStart { container, command, stdin, stdout, stderr, tty } = start;
    if command.is_empty() {
        return Err(Status::invalid_argument("you must specify at least one command for the container"));
    }
    let found = service.find(container)?;
    let Some((id, _)) = found.view.latest.filter(|_| found.view.running) else {
        return Err(Status::failed_precondition(format!("container {} is not running", found.name)));
    };
    let config = ExecConfig { argv: command, tty, stdin, ..ExecConfig::default() };
    let session = service.host.runtime.exec(&id, config).await.map_err(status)?;
    let (answers, receiver) = mpsc::channel(BACKLOG);
    let stop = service.stop.clone();
    tokio::spawn(async move {
        let control = Arc::clone(&session.control);
        let relay = relay(session, requests, answers.clone(), (stdout, stderr));
        tokio::select! {
            () = relay => {}
            // Nobody listens any more, or the kubelet ends: the process must not stay behind.
            () = answers.closed() => kill(control.as_ref()).await,
            () = stop.cancelled() => kill(control.as_ref()).await,
        }
    });
    Ok(ReceiverStream::new(receiver).boxed())
}

async fn kill(control: &dyn ExecControl) {
    if let Err(error) = control.kill(SIGKILL).await {
        tracing::debug!(%error, "a process whose caller left could not be killed");
    }
}

/// A terminal's size as the runtime takes it.
fn terminal_size(size: gantry_api::grpc::node::TerminalSize) -> TerminalSize {
    let cut = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    TerminalSize { width: cut(size.width), height: cut(size.height) }
}

pub(super) fn status(error: RuntimeError) -> Status {
    match &error {
        RuntimeError::NotFound { .. } => Status::not_found(error.to_string()),
        RuntimeError::WrongState { .. } => Status::failed_precondition(error.to_string()),
        RuntimeError::Unavailable { .. } => Status::unavailable(error.to_string()),
        RuntimeError::Deadline { .. } => Status::deadline_exceeded(error.to_string()),
        _ => Status::unknown(error.to_string()),
    }
}

/// Moves bytes both ways until the process has ended and its output is through.
async fn relay(
    session: ExecSession,
    requests: Streaming<ExecRequest>,
    answers: mpsc::Sender<Answer>,
    (stdout, stderr): (bool, bool),
) {
    let control = Arc::clone(&session.control);
    let terminal = Arc::clone(&control);
    let resize = move |size| {
        let terminal = Arc::clone(&terminal);
        async move { terminal.resize(size).await }
    };
    let input = tokio::spawn(feed(session.stdin, requests, resize));
    let out = pump(session.stdout, stdout.then(|| answers.clone()), Out::Stdout);
    let err = async {
        if let Some(reader) = session.stderr {
            pump(reader, stderr.then(|| answers.clone()), Out::Stderr).await;
        }
    };
    let (code, (), ()) = tokio::join!(control.wait(), out, err);
    input.abort();
    let last = code.map(|code| ExecResponse { message: Some(Out::ExitCode(code)) }).map_err(status);
    // The caller may have left.
    let _ = answers.send(last).await;
}

/// What the caller sends, until it has nothing more.
pub(super) async fn feed<F>(
    mut stdin: Option<Writer>,
    mut requests: Streaming<ExecRequest>,
    resize: impl Fn(TerminalSize) -> F,
) where
    F: Future<Output = Result<(), RuntimeError>>,
{
    while let Ok(Some(request)) = requests.message().await {
        match request.message {
            Some(In::Stdin(data)) => {
                let Some(writer) = &mut stdin else { continue };
                // Who closed its input does not want more.
                if writer.write_all(&data).await.is_err() || writer.flush().await.is_err() {
                    stdin = None;
                }
            }
            // A container's own terminal stays for the next one who attaches.
            Some(In::CloseStdin(_)) => stdin = None,
            Some(In::Resize(size)) => {
                if let Err(error) = resize(terminal_size(size)).await {
                    tracing::debug!(%error, "terminal not resized");
                }
            }
            Some(In::Start(_) | In::Attach(_)) | None => {}
        }
    }
}

/// Reads a stream to its end; what nobody wants is thrown away, so that the process is not held up.
async fn pump(mut reader: Reader, answers: Option<mpsc::Sender<Answer>>, wrap: fn(Bytes) -> Out) {
    let mut buffer = vec![0; PIECE];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                let Some(answers) = &answers else { continue };
                let message = Some(wrap(Bytes::copy_from_slice(&buffer[..read])));
                if answers.send(Ok(ExecResponse { message })).await.is_err() {
                    return;
                }
            }
        }
    }
}
