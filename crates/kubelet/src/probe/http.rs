//! One HTTP request to a container, as probes and hooks make it.

use bytes::Bytes;
use gantry_api::core::v1::HttpGetAction;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls;

/// Most of an answer's body that is read.
const BODY_LIMIT: usize = 10 * 1024;
const USER_AGENT: &str = concat!("kube-probe/gantry-", env!("CARGO_PKG_VERSION"));

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The beginning of the body.
    pub body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error("Get {url:?}: dial tcp {host}:{port}: {source}")]
    Connect {
        /// What was asked for.
        url: String,
        /// Whom.
        host: String,
        /// Where.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// The request cannot be made.
    #[error("Get {url:?}: {reason}")]
    Request {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The connection broke.
    #[error("Get {url:?}: {source}")]
    Exchange {
        /// What was asked for.
        url: String,
        /// Why.
        source: hyper::Error,
    },
}

/// Asks once, following no redirects: they count as success. Certificates are not verified, as documented.
pub async fn get(action: &HttpGetAction, host: &str, port: u16) -> Result<Answer, HttpError> {
    let secure = action.scheme.eq_ignore_ascii_case("https");
    let path = if action.path.starts_with('/') { action.path.clone() } else { format!("/{}", action.path) };
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let url = format!("{}://{authority}{path}", if secure { "https" } else { "http" });
    let request = request(action, &path, &authority)
        .map_err(|reason| HttpError::Request { url: url.clone(), reason })?;
    let stream = TcpStream::connect((host, port)).await.map_err(|source| HttpError::Connect {
        url: url.clone(),
        host: host.to_owned(),
        port,
        source,
    })?;
    if !secure {
        return exchange(stream, request, url).await;
    }
    match tls::connect(stream, host).await {
        Ok(stream) => exchange(stream, request, url).await,
        Err(reason) => Err(HttpError::Request { url, reason }),
    }
}

fn request(action: &HttpGetAction, path: &str, authority: &str) -> Result<Request<Empty<Bytes>>, String> {
    let uri: Uri = path.parse().map_err(|_| format!("{path:?} is not a path"))?;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut host = HeaderValue::from_str(authority).map_err(|_| format!("{authority:?} is not a host"))?;
    for given in &action.http_headers {
        let name: HeaderName =
            given.name.parse().map_err(|_| format!("{:?} is not a header's name", given.name))?;
        let value = HeaderValue::from_str(&given.value)
            .map_err(|_| format!("header {name}: {:?} is not a value", given.value))?;
        if name == header::HOST {
            host = value;
        } else {
            headers.append(name, value);
        }
    }
    headers.insert(header::HOST, host);
    Ok(request)
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>, url: String) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |source| HttpError::Exchange { url: url.clone(), source };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        // A body that is too long, or breaks off, does not change what the status says.
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
        Ok(Answer { status, body: body.map(|body| body.to_bytes()).unwrap_or_default() })
    };
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    // The connection is driven here, so that it ends when the caller gives up.
    tokio::select! {
        answer = &mut exchange => answer.map_err(failed),
        _ = &mut connection => exchange.await.map_err(failed),
    }
}
