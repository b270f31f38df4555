//! Commands in containers over WebSocket, against a pretended node.

use futures::{SinkExt, StreamExt};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderValue, Response};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::PATIENCE;
use crate::node;
use crate::server::{PODS, Server};

struct Socket {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

async fn open(server: &Server, query: &str, protocol: &str) -> Result<Socket, Response<Option<Vec<u8>>>> {
    open_at(server, &format!("{PODS}/a/exec?{query}"), protocol).await
}

async fn open_at(server: &Server, path: &str, protocol: &str) -> Result<Socket, Response<Option<Vec<u8>>>> {
    let uri = format!("wss://127.0.0.1{path}");
    let mut request = uri.into_client_request().unwrap();
    if !protocol.is_empty() {
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol).unwrap());
    }
    let opening = tokio_tungstenite::client_async(request, server.connect().await);
    match tokio::time::timeout(PATIENCE, opening).await.unwrap() {
        Ok((socket, response)) => {
            let chosen = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
            assert_eq!(chosen.map_or("", |chosen| chosen.to_str().unwrap()), protocol);
            Ok(Socket { socket })
        }
        Err(Error::Http(response)) => Err(*response),
        Err(error) => panic!("{error}"),
    }
}

impl Socket {
    async fn send(&mut self, bytes: &'static [u8]) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap()
    }

    async fn expect(&mut self, bytes: &[u8]) {
        assert_eq!(self.next().await, Message::binary(bytes.to_vec()));
    }

    async fn status(&mut self) -> Value {
        let message = self.next().await.into_data();
        assert_eq!(message[0], 3);
        serde_json::from_slice(&message[1..]).unwrap()
    }

    async fn ends(&mut self) {
        let Message::Close(Some(frame)) = self.next().await else { panic!("no end with a code") };
        // Clients take no other code for an end.
        assert_eq!(u16::from(frame.code), 1000);
    }
}

#[tokio::test]
async fn a_command_has_its_streams() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let query = "command=sh&command=&stdin=true&stdout=true&tty=true";
    let mut socket = open(&server, query, "v5.channel.k8s.io").await.ok().unwrap();
    socket.expect(b"\x01").await;
    socket.expect(b"\x01[\"sh\", \"\"] true").await;
    socket.send(b"\0hello").await;
    socket.expect(b"\x01hello").await;
    // What means nothing is passed over.
    socket.send(b"\x07what").await;
    socket.send(b"\x04{\"Width\":80,\"Height\":24}").await;
    socket.expect(b"\x0180x24").await;
    socket.send(b"\xff\0").await;
    assert_eq!(socket.status().await, json!({"metadata": {}, "status": "Success"}));
    socket.ends().await;
}

#[tokio::test]
async fn a_container_has_its_own_streams() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let path = format!("{PODS}/a/attach?stdin=true&stdout=true&stderr=true");
    let mut socket = open_at(&server, &path, "v5.channel.k8s.io").await.ok().unwrap();
    socket.expect(b"\x01").await;
    socket.expect(b"\x01attached to c").await;
    socket.send(b"\0hello").await;
    socket.expect(b"\x02hello").await;
    socket.send(b"\x04{\"Width\":80,\"Height\":24}").await;
    socket.expect(b"\x0180x24").await;
    socket.send(b"\xff\0").await;
    assert_eq!(socket.status().await, json!({"metadata": {}, "status": "Success"}));
    socket.ends().await;
    let path = format!("{PODS}/a/attach?stdout=true&container=x");
    let response = open_at(&server, &path, "v5.channel.k8s.io").await.err().unwrap();
    let body = String::from_utf8(response.into_body().unwrap_or_default()).unwrap();
    assert!(body.contains("container x is not valid for pod a"), "{body}");
}

#[tokio::test]
async fn ports_are_channels() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let path = format!("{PODS}/a/portforward?ports=7,8");
    let mut socket = open_at(&server, &path, "v4.channel.k8s.io").await.ok().unwrap();
    // Each channel begins with its port; what is wrong with the second follows.
    let mut begun = Vec::new();
    while begun.len() < 5 {
        begun.push(socket.next().await.into_data().to_vec());
    }
    begun.sort();
    let uid = server.get(&format!("{PODS}/a")).await.ok(200)["metadata"]["uid"].as_str().unwrap().to_owned();
    let failure = format!("\x03error forwarding port 8 to pod a, uid {uid}: nobody listens");
    let mut wanted = vec![b"\0\x07\0".to_vec(), b"\x01\x07\0".to_vec(), b"\x02\x08\0".to_vec()];
    wanted.extend([b"\x03\x08\0".to_vec(), failure.into_bytes()]);
    assert_eq!(begun, wanted);
    socket.send(b"\0hello").await;
    socket.expect(b"\0HELLO").await;
    let response =
        open_at(&server, &format!("{PODS}/a/portforward"), "v4.channel.k8s.io").await.err().unwrap();
    assert_eq!(response.status(), 400);
    drop(server);
    socket.ends().await;
}

#[tokio::test]
async fn an_exit_code_is_told_in_every_protocol() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let query = "command=fail&command=x&stdout=true&stderr=true";
    let text = "command terminated with non-zero exit code: error executing command [fail x], exit code 7";
    for protocol in ["v5.channel.k8s.io", "v4.channel.k8s.io"] {
        let mut socket = open(&server, query, protocol).await.ok().unwrap();
        socket.expect(b"\x01").await;
        socket.expect(b"\x02no\n").await;
        let status = socket.status().await;
        assert_eq!((&status["reason"], &status["message"]), (&json!("NonZeroExitCode"), &json!(text)));
        assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "7"}]));
        socket.ends().await;
    }
    for protocol in ["channel.k8s.io", ""] {
        let mut socket = open(&server, query, protocol).await.ok().unwrap();
        socket.expect(b"\x01").await;
        socket.expect(b"\x02no\n").await;
        socket.expect(format!("\x03{text}").as_bytes()).await;
        socket.ends().await;
    }
    let mut socket = open(&server, query, "base64.channel.k8s.io").await.ok().unwrap();
    assert_eq!(socket.next().await, Message::text("1"));
    assert_eq!(socket.next().await, Message::text("2bm8K"));
}

#[tokio::test]
async fn a_failing_node_is_told_on_the_error_channel() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let mut socket = open(&server, "command=break&stderr=true", "v4.channel.k8s.io").await.ok().unwrap();
    socket.expect(b"\x02").await;
    let status = socket.status().await;
    assert_eq!((&status["code"], &status["reason"]), (&json!(500), &json!("InternalError")));
    assert!(status["message"].as_str().unwrap().ends_with("the runtime is gone"));
    socket.ends().await;
}

#[tokio::test]
async fn what_fails_before_the_upgrade_is_an_ordinary_answer() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    for (query, protocol, code, text) in [
        ("command=refuse&stdout=true", "v5.channel.k8s.io", 400, "container x is not valid for pod a"),
        ("command=ls", "v5.channel.k8s.io", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("command=ls&stdout=true", "v9.channel.k8s.io", 403, "unable to negotiate protocol"),
    ] {
        let response = open(&server, query, protocol).await.err().unwrap();
        assert_eq!(response.status(), code, "{query}");
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        assert!(length > 0);
        let body = String::from_utf8(response.into_body().unwrap_or_default()).unwrap();
        assert!(body.contains("\"Status\"") && body.contains(text), "{query}: {body:?}");
    }
}
