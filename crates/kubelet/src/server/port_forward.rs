//! One connection to a port of a pod.

use bytes::Bytes;
use futures::StreamExt;
use gantry_api::grpc::node::port_forward_request::Message as In;
use gantry_api::grpc::node::{PortForwardRequest, PortForwardResponse, PortForwardStart};
use gantry_pod_network::{DialError, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{Answers, Service};

/// Pieces that may wait for the caller.
const BACKLOG: usize = 16;
const PIECE: usize = 32 * 1024;

type Answer = Result<PortForwardResponse, Status>;

pub(super) async fn serve(
    service: &Service,
    mut requests: Streaming<PortForwardRequest>,
) -> Result<Answers<PortForwardResponse>, Status> {
    let first = requests.message().await?.and_then(|request| request.message);
    let Some(In::Start(start)) = first else {
        return Err(Status::invalid_argument("the first message must say where to connect"));
    };
    let PortForwardStart { namespace, pod: name, pod_uid, port } = start;
    let port = u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Status::invalid_argument(format!("port: {port} must be between 1 and 65535")))?;
    let (_, view) = service.find_pod(&namespace, &name, &pod_uid)?;
    let uid = view.pod.metadata.as_ref().map(|meta| meta.uid.clone()).unwrap_or_default();
    let own = !view.pod.spec.as_ref().is_some_and(|spec| spec.host_network);
    let place = if own {
        let found =
            service.host.sandboxes.network(&uid).map_err(|error| Status::unavailable(error.to_string()))?;
        let missing = || Status::failed_precondition(format!("pod {name} has no network yet, or no more"));
        Some(found.ok_or_else(missing)?)
    } else {
        None
    };
    let connection = dial(place, port).await.map_err(|error| match error {
        DialError::Refused { .. } => Status::failed_precondition(error.to_string()),
        DialError::Namespace(_) => Status::unavailable(error.to_string()),
    })?;
    let (read, write) = connection.into_split();
    let (answers, receiver) = mpsc::channel(BACKLOG);
    let stop = service.stop.clone();
    tokio::spawn(async move {
        let left = CancellationToken::new();
        let both = async {
            let told = async {
                if tell(read, answers).await == End::CallerLeft {
                    left.cancel();
                }
            };
            tokio::join!(feed(write, requests), told);
        };
        tokio::select! {
            () = both => {}
            () = left.cancelled() => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(ReceiverStream::new(receiver).boxed())
}

/// What the caller sends, until it has nothing more.
async fn feed(mut write: OwnedWriteHalf, mut requests: Streaming<PortForwardRequest>) {
    while let Ok(Some(request)) = requests.message().await {
        match request.message {
            Some(In::Data(data)) => {
                if write.write_all(&data).await.is_err() {
                    return;
                }
            }
            Some(In::Close(_)) => break,
            Some(In::Start(_)) | None => {}
        }
    }
    // One that is closed already needs no end.
    let _ = write.shutdown().await;
}

/// Why nothing more is told.
#[derive(PartialEq, Eq)]
enum End {
    PodClosed,
    CallerLeft,
}

/// What the pod sends, until it has nothing more. The answers end with that.
async fn tell(mut read: OwnedReadHalf, answers: mpsc::Sender<Answer>) -> End {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = tokio::select! {
            length = read.read(&mut buffer) => length,
            () = answers.closed() => return End::CallerLeft,
        };
        let answer = match length {
            Ok(0) => return End::PodClosed,
            Ok(length) => Ok(PortForwardResponse { data: Bytes::copy_from_slice(&buffer[..length]) }),
            Err(error) => Err(Status::unavailable(format!("the connection broke: {error}"))),
        };
        let broken = answer.is_err();
        if answers.send(answer).await.is_err() {
            return End::CallerLeft;
        }
        if broken {
            return End::PodClosed;
        }
    }
}
