//! Connections to the loopback of a pod.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

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
pub async fn dial(namespace: Option<PathBuf>, port: u16) -> Result<tokio::net::TcpStream, DialError> {
    let connect = move || {
        Ok(match namespace.as_deref() {
            // A socket stays in the namespace that it was made in, whoever uses it.
            Some(path) => run_in(path, || Ok(try_both(port))),
            None => Ok(try_both(port)),
        })
    };
    let stream = blocking(connect).await.and_then(|made| made).map_err(DialError::Namespace)??;
    let broken = |error: io::Error| DialError::Namespace(Error::system("use the connection")(error));
    stream.set_nonblocking(true).map_err(broken)?;
    tokio::net::TcpStream::from_std(stream).map_err(broken)
}

fn try_both(port: u16) -> Result<TcpStream, DialError> {
    let to = |ip: IpAddr| TcpStream::connect_timeout(&SocketAddr::new(ip, port), LIMIT);
    to(Ipv4Addr::LOCALHOST.into())
        .or_else(|v4| to(Ipv6Addr::LOCALHOST.into()).map_err(|v6| DialError::Refused { port, v4, v6 }))
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
