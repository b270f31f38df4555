use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const PREFIX: &str = "/api/v1/namespaces/a/pods/b/proxy";

/// Something behind the proxy that takes one request and gives this answer. Its request is given back.
async fn behind(has_body: bool, answer: &'static str) -> (Place, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let end: &[u8] = if has_body { b"\r\n\r\nBODY" } else { b"\r\n\r\n" };
        while !request.ends_with(end) {
            request.push(connection.read_u8().await.unwrap());
        }
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (Place { https: false, address }, served)
}

async fn through(place: &Place, request: Request<Body>) -> Result<(http::response::Parts, String), ApiError> {
    let path = request.uri().path().to_owned();
    let rest = path.strip_prefix(PREFIX).unwrap();
    let rewrite = Rewrite::new(&path, rest, place.address, request.headers());
    let (parts, body) = forward(place, rest, request, &rewrite, CancellationToken::new()).await?.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok((parts, String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn a_request_goes_through_as_it_is() {
    let answer = "HTTP/1.1 418 Teapot\r\nContent-Type: text/x\r\nConnection: close\r\nLocation: /d\r\n\
                  Access-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\nhi";
    let (place, served) = behind(true, answer).await;
    let request = Request::post(format!("{PREFIX}/c%2Fd?e=f&g"))
        .header(HOST, "server")
        .header(AUTHORIZATION, "Bearer secret")
        .header("content-length", "4")
        .header("x-own", "1")
        .body(Body::new(http_body_util::Full::new("BODY".into())))
        .unwrap();
    let (parts, body) = through(&place, request).await.unwrap();
    assert_eq!((parts.status.as_u16(), body.as_str()), (418, "hi"));
    assert_eq!(parts.headers[CONTENT_TYPE], "text/x");
    assert_eq!(parts.headers[LOCATION], format!("{PREFIX}/d"));
    assert!(!parts.headers.contains_key("connection"));
    assert!(!parts.headers.contains_key("access-control-allow-origin"));
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /c%2Fd?e=f&g HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nBODY"), "{request}");
    let lower = request.to_ascii_lowercase();
    for header in ["host: server\r\n", "x-own: 1\r\n", &format!("x-forwarded-uri: {PREFIX}/c%2fd\r\n")] {
        assert!(lower.contains(&header.to_ascii_lowercase()), "{header}: {request}");
    }
    assert!(!lower.contains("secret"), "{request}");
}

#[tokio::test]
async fn an_answer_without_a_length_comes_to_its_end() {
    let (place, _served) =
        behind(false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    let request = Request::get(format!("{PREFIX}/")).body(Body::empty()).unwrap();
    let (parts, body) = through(&place, request).await.unwrap();
    assert_eq!((parts.status.as_u16(), body.as_str()), (200, "hi"));
    assert!(!parts.headers.contains_key(TRANSFER_ENCODING));
}

#[tokio::test]
async fn nobody_there_is_told() {
    let (place, served) = behind(false, "").await;
    served.abort();
    let _ = served.await;
    let request = Request::get(format!("{PREFIX}/")).body(Body::empty()).unwrap();
    let error = through(&place, request).await.unwrap_err();
    let text =
        format!("error trying to reach service: dial tcp {}: connect: connection refused", place.address);
    assert_eq!((error.http().as_u16(), error.to_string()), (503, text));
}
