//! A connection to what is behind the proxy.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::body::Body;

use super::place::Place;
use crate::trust::Anybody;

/// How long a connection may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Connects, or says why not.
pub(super) async fn open(place: &Place) -> Result<SendRequest<Body>, String> {
    let told = |error: &io::Error| format!("dial tcp {}: {}", place.address, why(error));
    let stream = match timeout(LIMIT, TcpStream::connect(place.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(told(&error)),
        Err(_) => return Err(told(&io::ErrorKind::TimedOut.into())),
    };
    if !place.https {
        return speak(stream).await;
    }
    let config = TLS.clone().map_err(|error| error.to_string())?;
    let name = ServerName::from(place.address.ip());
    match timeout(LIMIT, TlsConnector::from(config).connect(name, stream)).await {
        Ok(Ok(stream)) => speak(stream).await,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("net/http: TLS handshake timeout".to_owned()),
    }
}

async fn speak<T>(stream: T) -> Result<SendRequest<Body>, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection behind the proxy broke");
        }
    });
    Ok(sender)
}

/// As Go tells it, for whoever reads logs of both.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    }
}

/// Made when it is first needed.
static TLS: LazyLock<Result<Arc<ClientConfig>, rustls::Error>> = LazyLock::new(tls);

fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody::new(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}
