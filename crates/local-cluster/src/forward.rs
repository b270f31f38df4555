//! A small HTTP proxy for nodes, which have no route out, to registries outside.
//!
//! It knows CONNECT only, serves the cluster's nodes only, and never connects to this machine itself, to link-local
//! addresses (where clouds keep credentials) or into the cluster's ranges.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::plan::Forward;

const MAX_CONNECTIONS: usize = 256;
const MAX_HEAD: usize = 8 << 10;
const HEAD_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// No pull takes longer; a connection that is forgotten must not keep its slot.
const TUNNEL_LIMIT: Duration = Duration::from_secs(3600);

/// Serves until `stop`. The proxy is a convenience: when it cannot listen, the cluster runs without it.
pub(crate) async fn run(forward: Forward, stop: CancellationToken) {
    let listener = match TcpListener::bind(forward.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(address = %forward.listen, %error, "no way to registries outside");
            return;
        }
    };
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) if is_node(&forward, peer) => {
                let stop = stop.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        result = serve(stream) => {
                            if let Err(error) = result {
                                tracing::debug!(%peer, %error, "a connection to outside failed");
                            }
                        }
                    }
                    drop(slot);
                });
            }
            Ok((_, peer)) => tracing::warn!(%peer, "not a node: refused"),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_node(forward: &Forward, peer: SocketAddr) -> bool {
    matches!(peer.ip(), IpAddr::V4(address) if forward.network.has_node(address))
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let head = tokio::time::timeout(HEAD_LIMIT, read_head(&mut stream)).await??;
    let Some(target) = target(&head) else {
        return stream.write_all(b"HTTP/1.1 405 Only CONNECT to port 443\r\nContent-Length: 0\r\n\r\n").await;
    };
    match tokio::time::timeout(CONNECT_LIMIT, connect(&target)).await {
        Ok(Ok(mut outside)) => {
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
            tokio::time::timeout(TUNNEL_LIMIT, copy_bidirectional(&mut stream, &mut outside)).await??;
            Ok(())
        }
        Ok(Err(error)) => refuse(&mut stream, "502 Bad Gateway", &format!("{target}: {error}")).await,
        Err(_) => refuse(&mut stream, "504 Gateway Timeout", &format!("{target}: no answer")).await,
    }
}

async fn refuse(stream: &mut TcpStream, status: &str, reason: &str) -> io::Result<()> {
    let length = reason.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{reason}");
    stream.write_all(answer.as_bytes()).await
}

async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request's head is too long"));
        }
        // Byte by byte, so that nothing of what follows the head is taken; it is some hundred bytes per pull.
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// `host:443` of a CONNECT request.
fn target(head: &str) -> Option<String> {
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    (method == "CONNECT" && target.rsplit_once(':')?.1 == "443").then(|| target.to_owned())
}

async fn connect(target: &str) -> io::Result<TcpStream> {
    let allowed: Vec<SocketAddr> =
        tokio::net::lookup_host(target).await?.filter(|address| is_outside(address.ip())).collect();
    if allowed.is_empty() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not an address outside this machine"));
    }
    TcpStream::connect(allowed.as_slice()).await
}

fn is_outside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let ours = a == 10 && (b == 243 || b == 244 || (96..112).contains(&b));
            let special = v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast();
            !(ours || special || v4 == Ipv4Addr::BROADCAST)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connect_to_the_tls_port_is_served() {
        assert_eq!(
            target("CONNECT registry.example:443 HTTP/1.1\r\n\r\n").as_deref(),
            Some("registry.example:443")
        );
        for head in [
            "CONNECT registry.example:22 HTTP/1.1\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n\r\n",
            "CONNECT\r\n\r\n",
            "",
        ] {
            assert_eq!(target(head), None, "{head:?}");
        }
    }

    #[test]
    fn this_machine_and_the_cluster_are_not_outside() {
        for inside in [
            "127.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "10.243.0.1",
            "10.244.1.2",
            "10.96.0.1",
            "10.111.0.1",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(!is_outside(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["192.0.2.1", "10.0.0.5", "10.112.0.1", "2001:db8::1"] {
            assert!(is_outside(outside.parse().unwrap()), "{outside}");
        }
    }
}
