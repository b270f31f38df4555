//! A command in a container, or the container's own streams: the client's on one side, the kubelet's on the other.

mod channels;
mod outcome;
mod spdy;
mod websocket;

use futures::StreamExt;
use gantry_api::grpc::node::exec_request::Message as Ask;
use gantry_api::grpc::node::{AttachStart, ContainerRef, ExecRequest, ExecResponse, ExecStart};
use gantry_api::meta::v1::Status;
use http::{Request, Response};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::body::Body;

use self::channels::Protocol;
pub(super) use self::spdy::close;
use super::container;
use super::upgrade::{Connection, START_LIMIT, Spdy, Wanted, WebSocket, wanted};
use crate::nodes::{Nodes, relay_error};
use crate::status::ApiError;
use crate::verbs::{Target, Verbs};

/// Pieces of input that may wait for the node.
const BACKLOG: usize = 16;

/// In how many protocols a client's message means something.
pub(super) fn meanings(message: &bytes::Bytes) -> usize {
    let protocols = Protocol::names().into_iter().filter_map(Protocol::by_name);
    protocols.filter(|protocol| matches!(protocol.decode(message), Ok(Some(_)))).count()
}

/// Which streams a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Those of a command of its own.
    Exec,
    /// Those that the container itself has.
    Attach,
}

/// What a client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) container: String,
    /// Only of a command.
    pub(super) command: Vec<String>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

impl Options {
    /// As webhooks are told.
    pub(super) fn json(&self) -> Value {
        let mut options = Map::new();
        for (name, flag) in
            [("stdin", self.stdin), ("stdout", self.stdout), ("stderr", self.stderr), ("tty", self.tty)]
        {
            if flag {
                options.insert(name.to_owned(), true.into());
            }
        }
        if !self.container.is_empty() {
            options.insert("container".to_owned(), self.container.clone().into());
        }
        if !self.command.is_empty() {
            options.insert("command".to_owned(), self.command.clone().into());
        }
        options.into()
    }
}

/// How the client wants to go on.
enum Opening {
    WebSocket(WebSocket, &'static Protocol),
    Spdy(Spdy),
}

/// Starts the command and answers with the upgrade; what fails before it is an ordinary error.
pub(super) async fn answer(
    verbs: &Verbs,
    nodes: &Nodes,
    target: Target,
    (purpose, options): (Purpose, Options),
    mut request: Request<Body>,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let pod = nodes.pod(verbs, &target.namespace, &target.name).await?;
    let headers = request.headers();
    let opening = match wanted(headers)? {
        Wanted::WebSocket => {
            let opening = WebSocket::read(headers, &Protocol::names())?;
            let protocol = Protocol::by_name(opening.protocol);
            Opening::WebSocket(opening, protocol.ok_or_else(|| ApiError::internal("an unknown protocol"))?)
        }
        Wanted::Spdy => match Spdy::read(headers, &spdy::PROTOCOLS) {
            Ok(opening) => Opening::Spdy(opening),
            Err(refused) => return refused.answer(),
        },
    };
    if !(options.stdin || options.stdout || options.stderr) {
        return Err(ApiError::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
    }
    let connection = Connection::of(&mut request)?;
    let container = container::choose(&pod, &options.container)?;
    let mut node = nodes.of_node(verbs, &pod).await?;
    let container = ContainerRef {
        namespace: target.namespace,
        pod: target.name,
        container,
        pod_uid: pod.metadata.map(|meta| meta.uid).unwrap_or_default(),
    };
    // On a terminal there is one output.
    let options = Options { stderr: options.stderr && !options.tty, ..options };
    let first = ExecRequest { message: Some(start(purpose, container, &options)) };
    let (asks, receiver) = mpsc::channel(BACKLOG);
    let requests = futures::stream::iter([first]).chain(ReceiverStream::new(receiver));
    let begin = async {
        match purpose {
            Purpose::Exec => node.exec(requests).await,
            Purpose::Attach => node.attach(requests).await,
        }
    };
    let told = match timeout(START_LIMIT, begin).await {
        Ok(told) => told.map_err(|error| relay_error(&error))?.into_inner(),
        Err(_) => {
            let text = format!("the node did not begin within {START_LIMIT:?}");
            return Err(ApiError::internal(text));
        }
    };
    let session = Session { purpose, options, asks, told, stop };
    let response = match &opening {
        Opening::WebSocket(opening, _) => opening.response()?,
        Opening::Spdy(opening) => opening.response(),
    };
    tokio::spawn(async move {
        let Some(connection) = connection.take().await else { return };
        match opening {
            Opening::WebSocket(_, protocol) => websocket::run(session, protocol, connection).await,
            Opening::Spdy(opening) => spdy::run(session, opening.protocol, connection).await,
        }
    });
    Ok(response)
}

fn start(purpose: Purpose, container: ContainerRef, options: &Options) -> Ask {
    let Options { stdin, stdout, stderr, tty, .. } = *options;
    let container = Some(container);
    match purpose {
        Purpose::Exec => {
            let command = options.command.clone();
            Ask::Start(ExecStart { container, command, stdin, stdout, stderr, tty })
        }
        Purpose::Attach => Ask::Attach(AttachStart { container, stdin, stdout, stderr, tty }),
    }
}

/// A running command, or container, and its streams on the node's side. The kubelet ends a command whose caller has
/// gone, which dropping `told` says.
struct Session {
    purpose: Purpose,
    options: Options,
    asks: mpsc::Sender<ExecRequest>,
    told: Streaming<ExecResponse>,
    stop: CancellationToken,
}

/// How a session ended, for the client.
fn ended(purpose: Purpose, command: &[String], end: Result<Option<i32>, tonic::Status>) -> Status {
    match (purpose, end) {
        (_, Ok(Some(code))) => outcome::exited(command, code),
        (Purpose::Attach, Ok(None)) => outcome::succeeded(),
        (Purpose::Exec, Ok(None)) => outcome::failed("executing command in", "the node told no exit code"),
        (Purpose::Exec, Err(error)) => outcome::failed("executing command in", error.message()),
        (Purpose::Attach, Err(error)) => outcome::failed("attaching to", error.message()),
    }
}
