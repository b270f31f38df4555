//! The web server of the example application: `GET /` says which pod, on which node, in which version answers.
//!
//! It ends as a server behind a Service should: at SIGTERM it goes on serving for a moment, since other nodes learn
//! only then that it is leaving, asks its clients to close their connections, and exits when they have.

mod http;

use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use http::{Page, Phase};

/// Connections served at once; more wait in the listen queue.
const MAX_CONNECTIONS: u32 = 1024;
/// How long new connections are accepted after SIGTERM, unless DRAIN_MS says otherwise.
const DRAIN_MS: u64 = 3000;
/// How long open connections may take to end after that.
const LAST_CALL: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let page = Page::new(&env("POD_NAME"), &env("NODE_NAME"), &env("VERSION"));
    let port = env("PORT").parse().unwrap_or(8080);
    let drain = Duration::from_millis(env("DRAIN_MS").parse().unwrap_or(DRAIN_MS));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await?;
    eprintln!("listening on port {port}");
    let (phase, seen) = watch::channel(Phase::Serving);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let mut accepting = Box::pin(accept(&listener, &page, &slots, &seen));
    tokio::select! {
        error = &mut accepting => return Err(error),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    eprintln!("leaving: serving on for {drain:?}");
    phase.send_replace(Phase::Leaving);
    tokio::select! {
        error = &mut accepting => return Err(error),
        () = tokio::time::sleep(drain) => {}
    }
    // It holds the slot of the connection that would come next.
    drop(accepting);
    phase.send_replace(Phase::Closing);
    // Every connection holds a slot: having all of them means that none is open.
    if tokio::time::timeout(LAST_CALL, slots.acquire_many(MAX_CONNECTIONS)).await.is_err() {
        eprintln!("some connections stayed open");
    }
    Ok(())
}

/// Serves every connection; returns only when the listener is broken.
async fn accept(
    listener: &TcpListener,
    page: &Page,
    slots: &Arc<Semaphore>,
    phase: &watch::Receiver<Phase>,
) -> io::Error {
    loop {
        let slot = match Arc::clone(slots).acquire_owned().await {
            Ok(slot) => slot,
            Err(closed) => return io::Error::other(closed),
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (page, phase) = (page.clone(), phase.clone());
                tokio::spawn(async move {
                    // A client that breaks off is its own affair.
                    let _ = http::serve(stream, &page, phase).await;
                    drop(slot);
                });
            }
            // Out of descriptors, or a client that was gone again: neither ends the server.
            Err(error) => {
                eprintln!("accept: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
