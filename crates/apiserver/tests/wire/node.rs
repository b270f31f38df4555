//! A pretended node: it serves what kubelets serve, without a container.

use futures::StreamExt;
use futures::stream::BoxStream;
use gantry_api::grpc::node::exec_request::Message as Ask;
use gantry_api::grpc::node::exec_response::Message as Told;
use gantry_api::grpc::node::node_server::{Node, NodeServer};
use gantry_api::grpc::node::port_forward_request::Message as Forward;
use gantry_api::grpc::node::{
    ExecRequest, ExecResponse, LogsRequest, LogsResponse, PortForwardRequest, PortForwardResponse,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::http::MERGE;
use crate::server::{PODS, Server, pod};

struct Pretended;

/// Gives the server a node with a pod `a` on it. The node's commands: `fail` ends with 7, `refuse` does not start,
/// `break` loses its node, and every other says its words and whether it has a terminal, returns its input and the sizes
/// of its terminal, and ends with 0 when its input does. Attaching does the same without words. Its logs are the options
/// that they are asked for with, and its port 7 sends everything back in capital letters; the others are closed.
pub(crate) async fn with_pod(server: &Server) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let identity = Identity::from_pem(server.pem("server"), server.pem("server-key"));
    let service = tonic::transport::Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .unwrap()
        .add_service(NodeServer::new(Pretended))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(service);

    server.post("/api/v1/nodes", &json!({"metadata": {"name": "n"}})).await.ok(201);
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }});
    server.patch("/api/v1/nodes/n/status", MERGE, &status).await.ok(200);
    let mut wanted = pod("a");
    wanted["spec"]["nodeName"] = json!("n");
    server.post(PODS, &wanted).await.ok(201);
}

fn told(message: Told) -> Result<ExecResponse, Status> {
    Ok(ExecResponse { message: Some(message) })
}

#[tonic::async_trait]
impl Node for Pretended {
    type LogsStream = BoxStream<'static, Result<LogsResponse, Status>>;

    async fn logs(&self, request: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let LogsRequest { container, options } = request.into_inner();
        let (container, options) = (container.unwrap(), options.unwrap());
        if options.previous {
            let text = r#"previous terminated container "c" in pod "a" not found"#;
            return Err(Status::failed_precondition(text));
        }
        let text = format!("{} {}\n", container.container, serde_json::to_string(&options).unwrap());
        let all = [Ok(LogsResponse { data: text.into() })];
        Ok(Response::new(futures::stream::iter(all).boxed()))
    }

    type AttachStream = BoxStream<'static, Result<ExecResponse, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<ExecRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut asks = request.into_inner();
        let Some(Ask::Attach(start)) = asks.message().await?.and_then(|ask| ask.message) else {
            return Err(Status::invalid_argument("the first message must say what to attach to"));
        };
        let begin = told(Told::Stdout(format!("attached to {}", start.container.unwrap().container).into()));
        // The container ends with its input.
        let ends = |ask: &Result<ExecRequest, Status>| {
            let end = matches!(ask, Ok(ExecRequest { message: Some(Ask::CloseStdin(_)) }));
            std::future::ready(!end)
        };
        let rest = asks.take_while(ends).filter_map(|ask| async {
            Some(match ask.ok()?.message? {
                Ask::Stdin(data) => told(Told::Stderr(data)),
                Ask::Resize(size) => told(Told::Stdout(format!("{}x{}", size.width, size.height).into())),
                _ => Err(Status::invalid_argument("started twice")),
            })
        });
        Ok(Response::new(futures::stream::iter([begin]).chain(rest).boxed()))
    }

    type PortForwardStream = BoxStream<'static, Result<PortForwardResponse, Status>>;

    async fn port_forward(
        &self,
        request: Request<Streaming<PortForwardRequest>>,
    ) -> Result<Response<Self::PortForwardStream>, Status> {
        let mut asks = request.into_inner();
        let Some(Forward::Start(start)) = asks.message().await?.and_then(|ask| ask.message) else {
            return Err(Status::invalid_argument("the first message must say where to connect"));
        };
        assert!(!start.pod_uid.is_empty());
        if start.port != 7 {
            return Err(Status::failed_precondition("nobody listens"));
        }
        let back = asks.filter_map(|ask| async {
            match ask.ok()?.message? {
                Forward::Data(data) => {
                    Some(Ok(PortForwardResponse { data: data.to_ascii_uppercase().into() }))
                }
                _ => None,
            }
        });
        Ok(Response::new(back.boxed()))
    }

    type ExecStream = BoxStream<'static, Result<ExecResponse, Status>>;

    async fn exec(
        &self,
        request: Request<Streaming<ExecRequest>>,
    ) -> Result<Response<Self::ExecStream>, Status> {
        let mut asks = request.into_inner();
        let Some(Ask::Start(start)) = asks.message().await?.and_then(|ask| ask.message) else {
            return Err(Status::invalid_argument("the first message must say what to run"));
        };
        let begin = match start.command.first().map(String::as_str) {
            Some("refuse") => return Err(Status::invalid_argument("container x is not valid for pod a")),
            Some("fail") => {
                let all = [told(Told::Stderr("no\n".into())), told(Told::ExitCode(7))];
                return Ok(Response::new(futures::stream::iter(all).boxed()));
            }
            Some("break") => {
                let all = [Err(Status::unknown("the runtime is gone"))];
                return Ok(Response::new(futures::stream::iter(all).boxed()));
            }
            _ => format!("{:?} {}", start.command, start.tty),
        };
        let rest = asks.filter_map(|ask| async {
            Some(match ask.ok()?.message? {
                Ask::Stdin(data) => told(Told::Stdout(data)),
                Ask::Resize(size) => told(Told::Stdout(format!("{}x{}", size.width, size.height).into())),
                Ask::CloseStdin(_) => told(Told::ExitCode(0)),
                Ask::Start(_) | Ask::Attach(_) => Err(Status::invalid_argument("started twice")),
            })
        });
        let begin = told(Told::Stdout(begin.into()));
        Ok(Response::new(futures::stream::iter([begin]).chain(rest).boxed()))
    }
}
