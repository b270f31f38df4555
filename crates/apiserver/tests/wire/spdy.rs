//! Streams of pods over SPDY, as older clients ask for them, and inside of a WebSocket, as newer ones do.

use bytes::BytesMut;
use futures::{SinkExt, StreamExt};
use gantry_spdy::frame::{Decoder, Frame, encode};
use gantry_spdy::headers::{Compressor, Headers};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::http::PATIENCE;
use crate::node;
use crate::server::{PODS, Server};

/// What carries the frames.
enum Carrier {
    Plain(Box<TlsStream<TcpStream>>),
    Tunnel(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

struct Client {
    carrier: Carrier,
    compressor: Compressor,
    decoder: Decoder,
    bytes: BytesMut,
    /// What the end of a tunnel was told with.
    code: Option<u16>,
}

/// The head of an answer as text.
async fn head(connection: &mut TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(PATIENCE, connection.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

async fn ask(server: &Server, path: &str, protocol: &str) -> (TlsStream<TcpStream>, String) {
    let mut connection = server.connect().await;
    let request = format!(
        "POST {PODS}/a/{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
         X-Stream-Protocol-Version: v9\r\nX-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut connection).await;
    (connection, head)
}

impl Client {
    async fn plain(server: &Server, path: &str, protocol: &str) -> Self {
        let (connection, head) = ask(server, path, protocol).await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("upgrade: spdy/3.1\r\n"), "{head}");
        assert!(head.contains(&format!("x-stream-protocol-version: {protocol}\r\n")), "{head}");
        Self::over(Carrier::Plain(Box::new(connection)))
    }

    async fn tunnel(server: &Server, path: &str) -> Self {
        let mut request = format!("wss://127.0.0.1{PODS}/a/{path}").into_client_request().unwrap();
        let protocol = HeaderValue::from_static("SPDY/3.1+portforward.k8s.io");
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        let opening = tokio_tungstenite::client_async(request, server.connect().await);
        let (socket, response) = tokio::time::timeout(PATIENCE, opening).await.unwrap().unwrap();
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], protocol);
        Self::over(Carrier::Tunnel(Box::new(socket)))
    }

    fn over(carrier: Carrier) -> Self {
        Self {
            carrier,
            compressor: Compressor::default(),
            decoder: Decoder::default(),
            bytes: BytesMut::new(),
            code: None,
        }
    }

    async fn send(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        encode(&frame, &mut bytes);
        match &mut self.carrier {
            Carrier::Plain(connection) => connection.write_all(&bytes).await.unwrap(),
            // In pieces, as the cuts between messages mean nothing.
            Carrier::Tunnel(socket) => {
                for piece in bytes.chunks(7) {
                    socket.send(Message::binary(piece.to_vec())).await.unwrap();
                }
            }
        }
    }

    async fn open(&mut self, stream: u32, headers: Headers) {
        let headers = self.compressor.write(&headers).unwrap().into();
        self.send(Frame::Open { stream, fin: false, headers }).await;
        let frame = self.next().await;
        assert!(matches!(frame, Some(Frame::Reply { stream: of, .. }) if of == stream), "{frame:?}");
    }

    async fn say(&mut self, stream: u32, data: &'static str, fin: bool) {
        self.send(Frame::Data { stream, fin, data: data.into() }).await;
    }

    async fn next(&mut self) -> Option<Frame> {
        let next = async {
            loop {
                if let Some(frame) = self.decoder.next(&mut self.bytes).unwrap() {
                    return Some(frame);
                }
                match &mut self.carrier {
                    Carrier::Plain(connection) => {
                        if connection.read_buf(&mut self.bytes).await.unwrap() == 0 {
                            return None;
                        }
                    }
                    Carrier::Tunnel(socket) => match socket.next().await {
                        Some(Ok(Message::Binary(data))) => self.bytes.extend_from_slice(&data),
                        Some(Ok(Message::Close(frame))) => {
                            self.code = frame.map(|frame| frame.code.into());
                            return None;
                        }
                        None => return None,
                        other => panic!("{other:?}"),
                    },
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("another frame")
    }

    /// This data, in however many pieces; or the end of a stream.
    async fn expect(&mut self, stream: u32, data: &str, fin: bool) {
        let mut found = String::new();
        loop {
            let Some(Frame::Data { stream: of, fin: ends, data: piece }) = self.next().await else {
                panic!("no data but {found:?}, not {data:?}");
            };
            found.push_str(std::str::from_utf8(&piece).unwrap());
            assert!(of == stream && ends == fin && data.starts_with(&found), "{of}: {found:?}, not {data:?}");
            if found == data {
                return;
            }
        }
    }
}

fn of_type(name: &str) -> Headers {
    Headers::default().with("streamType", name)
}

#[tokio::test]
async fn a_command_has_a_stream_for_each_of_its_own() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let path = "exec?command=sh&stdin=true&stdout=true&tty=true";
    let mut client = Client::plain(&server, path, "v4.channel.k8s.io").await;
    for (stream, name) in [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "resize")] {
        client.open(stream, of_type(name)).await;
    }
    client.expect(5, "[\"sh\"] true", false).await;
    client.say(3, "hello", false).await;
    client.expect(5, "hello", false).await;
    client.say(7, "{\"Width\":80,\"Height\":24}\n", false).await;
    client.expect(5, "80x24", false).await;
    client.send(Frame::Ping(9)).await;
    assert_eq!(client.next().await, Some(Frame::Ping(9)));
    // What comes where nobody reads holds nothing up.
    for _ in 0..50 {
        client.say(1, "more", false).await;
    }
    client.say(3, "", true).await;
    client.expect(1, r#"{"metadata":{},"status":"Success"}"#, false).await;
    for stream in [5, 3, 7, 1] {
        client.expect(stream, "", true).await;
    }
    assert_eq!((client.next().await, client.next().await), (Some(Frame::Leave), None));
}

#[tokio::test]
async fn how_a_command_failed_is_told_on_the_error_stream() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let text = "command terminated with non-zero exit code: error executing command [fail], exit code 7";
    for protocol in ["v4.channel.k8s.io", "v2.channel.k8s.io"] {
        let mut client = Client::plain(&server, "exec?command=fail&stderr=true", protocol).await;
        client.open(1, of_type("error")).await;
        client.open(3, of_type("stderr")).await;
        client.expect(3, "no\n", false).await;
        let mut told = Vec::new();
        while let Some(Frame::Data { stream: 1, fin: false, data }) = client.next().await {
            told.extend_from_slice(&data);
        }
        if protocol.starts_with("v4") {
            let status: Value = serde_json::from_slice(&told).unwrap();
            assert_eq!((&status["reason"], &status["message"]), (&json!("NonZeroExitCode"), &json!(text)));
        } else {
            assert_eq!(told, text.as_bytes());
        }
    }
    let (_, head) = ask(&server, "exec?command=fail&stderr=true", "v8").await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
    assert!(head.contains("x-accepted-stream-protocol-versions: v4.channel.k8s.io\r\n"), "{head}");
}

fn pair(first: u32, port: &str) -> [(u32, Headers); 2] {
    let of = |name: &str| of_type(name).with("port", port).with("requestID", first.to_string());
    [(first, of("error")), (first + 2, of("data"))]
}

async fn ports_are_forwarded(server: &Server, client: &mut Client) {
    for (stream, headers) in pair(1, "7") {
        client.open(stream, headers).await;
    }
    client.say(1, "", true).await;
    client.say(3, "hello", false).await;
    client.expect(3, "HELLO", false).await;
    // Another one beside it, to a port where nobody listens.
    for (stream, headers) in pair(5, "8") {
        client.open(stream, headers).await;
    }
    let uid = server.get(&format!("{PODS}/a")).await.ok(200)["metadata"]["uid"].as_str().unwrap().to_owned();
    let failure = format!("error forwarding port 8 to pod a, uid {uid}: nobody listens");
    client.expect(5, &failure, false).await;
    client.expect(5, "", true).await;
    client.expect(7, "", true).await;
    // The first goes on until its input ends.
    client.say(3, "more", true).await;
    client.expect(3, "MORE", false).await;
    client.expect(1, "", true).await;
    client.expect(3, "", true).await;
    // What makes no sense is reset.
    let headers = client.compressor.write(&of_type("data")).unwrap().into();
    client.send(Frame::Open { stream: 9, fin: false, headers }).await;
    assert_eq!(client.next().await, Some(Frame::Reset { stream: 9, cause: 1 }));
}

#[tokio::test]
async fn ports_are_forwarded_over_a_connection() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let mut client = Client::plain(&server, "portforward", "portforward.k8s.io").await;
    ports_are_forwarded(&server, &mut client).await;
}

#[tokio::test]
async fn ports_are_forwarded_through_a_tunnel() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let mut client = Client::tunnel(&server, "portforward").await;
    ports_are_forwarded(&server, &mut client).await;
    drop(server);
    assert_eq!((client.next().await, client.next().await), (Some(Frame::Leave), None));
    assert_eq!(client.code, Some(1000));
}
