//! A running container's own streams.

use futures::StreamExt;
use gantry_api::grpc::node::exec_request::Message as In;
use gantry_api::grpc::node::exec_response::Message as Out;
use gantry_api::grpc::node::{AttachStart, ExecRequest, ExecResponse};
use gantry_log_driver::attach::Attached;
use gantry_log_driver::cri::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::exec::{feed, status};
use super::{Answers, Found, Service};

/// Pieces of output that may wait for the caller.
const BACKLOG: usize = 16;

type Answer = Result<ExecResponse, Status>;

pub(super) async fn serve(
    service: &Service,
    mut requests: Streaming<ExecRequest>,
) -> Result<Answers<ExecResponse>, Status> {
    let first = requests.message().await?.and_then(|request| request.message);
    let Some(In::Attach(start)) = first else {
        return Err(Status::invalid_argument("the first message must say what to attach to"));
    };
    let AttachStart { container, stdin, stdout, stderr, .. } = start;
    let found = service.find(container)?;
    let Some((id, attempt)) = found.view.latest.clone().filter(|_| found.view.running) else {
        return Err(Status::failed_precondition(format!("container {} is not running", found.name)));
    };
    let asks = Own::of(&found);
    let stdin = if stdin && asks.stdin {
        if !asks.tty {
            let text =
                format!("container {} has no terminal: its standard input is not connected", found.name);
            return Err(Status::unimplemented(text));
        }
        Some(service.host.runtime.open_stdin(&id).await.map_err(status)?)
    } else {
        None
    };
    let meta = found.pod.metadata.clone().unwrap_or_default();
    let log = service.host.paths.pod(&meta.uid, &meta.namespace, &meta.name).log(&found.name, attempt);
    let output = Attached::to(&log).await.map_err(|error| {
        Status::unavailable(format!("container {} is not attachable: {error}", found.name))
    })?;
    let (answers, receiver) = mpsc::channel(BACKLOG);
    let (stop, runtime) = (service.stop.clone(), service.host.runtime.clone());
    tokio::spawn(async move {
        let input = async {
            feed(stdin, requests, |size| runtime.resize_terminal(&id, size)).await;
            // A caller that has nothing more to say still listens.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = tell(output, &answers, (stdout, stderr)) => {}
            () = input => {}
            () = answers.closed() => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(ReceiverStream::new(receiver).boxed())
}

/// What the container itself has.
#[derive(Default)]
struct Own {
    stdin: bool,
    tty: bool,
}

impl Own {
    fn of(found: &Found) -> Self {
        let spec = found.pod.spec.as_ref();
        let ephemeral = spec.map(gantry_api::ephemeral::containers).unwrap_or_default();
        let all = spec.into_iter().flat_map(|spec| spec.containers.iter().chain(&spec.init_containers));
        let own = all.chain(&ephemeral).find(|container| container.name == found.name);
        own.map(|container| Self { stdin: container.stdin, tty: container.tty }).unwrap_or_default()
    }
}

/// What the container says, until it ends.
async fn tell(mut output: Attached, answers: &mpsc::Sender<Answer>, (stdout, stderr): (bool, bool)) {
    loop {
        let message = match output.next().await {
            Ok(None) => return,
            Ok(Some((Stream::Stdout, data))) if stdout => Out::Stdout(data),
            Ok(Some((Stream::Stderr, data))) if stderr => Out::Stderr(data),
            Ok(Some(_)) => continue,
            Err(error) => {
                let text = format!("the container's output is cut off: {error}");
                // The caller may have left.
                let _ = answers.send(Err(Status::unavailable(text))).await;
                return;
            }
        };
        if answers.send(Ok(ExecResponse { message: Some(message) })).await.is_err() {
            return;
        }
    }
}
