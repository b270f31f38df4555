//! systemd's notification protocol: one datagram per state on `$NOTIFY_SOCKET`.
//!
//! Without a service manager all of this does nothing.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Tells the service manager that the component serves.
pub fn ready() {
    send("READY=1");
}

/// Tells the service manager that the component is shutting down.
pub fn stopping() {
    send("STOPPING=1");
}

/// Shows a line of text in `systemctl status`.
pub fn status(text: &str) {
    send(&format!("STATUS={}", text.replace('\n', " ")));
}

/// Feeds systemd's watchdog, when the unit asks for it, until `stop`.
///
/// It runs as a task of the runtime on purpose: a runtime that is stuck stops feeding it.
pub fn watchdog(stop: CancellationToken) {
    let pid = std::env::var("WATCHDOG_PID").ok();
    let usec = std::env::var("WATCHDOG_USEC").ok();
    let Some(interval) = watchdog_interval(pid.as_deref(), usec.as_deref(), std::process::id()) else {
        return;
    };
    tokio::spawn(async move {
        while tokio::time::timeout(interval, stop.cancelled()).await.is_err() {
            send("WATCHDOG=1");
        }
    });
}

/// Half of the period that the unit asks for, when it means this process.
fn watchdog_interval(pid: Option<&str>, usec: Option<&str>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let usec: u64 = usec?.parse().ok()?;
    (usec > 0).then(|| Duration::from_micros(usec / 2))
}

fn send(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send_to(&socket.to_string_lossy(), state) {
        tracing::warn!(%error, state, "the service manager cannot be told");
    }
}

fn send_to(socket: &str, state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_arrives_as_one_datagram() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        send_to(path.to_str().unwrap(), "READY=1").unwrap();
        let mut buffer = [0; 64];
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
    }

    #[test]
    fn the_watchdog_is_fed_twice_per_period_and_only_for_this_process() {
        assert_eq!(watchdog_interval(None, Some("3000000"), 7), Some(Duration::from_millis(1500)));
        assert_eq!(watchdog_interval(Some("7"), Some("3000000"), 7), Some(Duration::from_millis(1500)));
        assert_eq!(watchdog_interval(Some("8"), Some("3000000"), 7), None);
        assert_eq!(watchdog_interval(None, None, 7), None);
        assert_eq!(watchdog_interval(None, Some("0"), 7), None);
    }
}
