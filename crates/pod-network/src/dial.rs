//! Connections to the loopback of a pod.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Error;
use crate::namespace::{blocking, run_in};

/// How long one address is tried.
const LIMIT: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The namespace cannot be entered.
    #[error("the pod's network namespace cannot be entered")]
    Namespace(#[source] Error),
    /// Nothing listens there.
    #[error("failed to connect to localhost:{port}, IPv4: {v4}, IPv6: {v6}")]
    Refused {
        /// The port.
        port: u16,
        /// Why not over IPv4.
        v4: io::Error,
        /// Why not over IPv6.
        v6: io::Error,
    },
}

/// Connects to a port on the loopback of a network namespace; without one, on the node's own.
///
/// # Errors
/// Where the namespace is not there any more, or nothing listens on the port.
pub async fn dial(namespace: Option<PathBuf>, port: u16) -> Result<TcpStream, DialError> {
    // Only these are made in the namespace: a socket stays in the one that it was made in, whoever uses it.
    let sockets = || Ok((TcpSocket::new_v4(), TcpSocket::new_v6()));
    let made = blocking(move || match namespace.as_deref() {
        Some(path) => run_in(path, sockets),
        None => sockets(),
    });
    let (v4, v6) = made.await.map_err(DialError::Namespace)?;
    let v4 = match connect(v4, Ipv4Addr::LOCALHOST.into(), port).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    let second = connect(v6, Ipv6Addr::LOCALHOST.into(), port).await;
    second.map_err(|v6| DialError::Refused { port, v4, v6 })
}

async fn connect(socket: io::Result<TcpSocket>, ip: IpAddr, port: u16) -> io::Result<TcpStream> {
    timeout(LIMIT, socket?.connect(SocketAddr::new(ip, port))).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_nodes_own_loopback_is_reached() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let made = dial(None, port).await.unwrap();
        assert_eq!(made.peer_addr().unwrap().port(), port);
        drop(listener);
        let error = dial(None, port).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("failed to connect to localhost:{port}, IPv4: ")));
        let error = dial(Some("/nowhere".into()), port).await.unwrap_err();
        assert!(matches!(error, DialError::Namespace(_)));
    }
}
