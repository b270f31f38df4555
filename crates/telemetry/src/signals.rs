//! The end of a process, asked for from outside.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled at the first SIGTERM or SIGINT.
///
/// A second signal ends the process at once: whoever sends it does not want to wait for the drain.
/// Call it once, inside the runtime.
pub fn shutdown() -> CancellationToken {
    let token = CancellationToken::new();
    let streams = signal(SignalKind::terminate()).and_then(|t| Ok((t, signal(SignalKind::interrupt())?)));
    match streams {
        Ok((term, int)) => {
            tokio::spawn(watch(term, int, token.clone()));
        }
        Err(error) => {
            tracing::warn!(%error, "no graceful shutdown: the signals cannot be caught");
        }
    }
    token
}

async fn watch(mut term: Signal, mut int: Signal, token: CancellationToken) {
    let name = either(&mut term, &mut int).await;
    tracing::info!(signal = name, "shutting down");
    token.cancel();
    let name = either(&mut term, &mut int).await;
    tracing::warn!(signal = name, "second signal: ending at once");
    std::process::exit(130);
}

async fn either(term: &mut Signal, int: &mut Signal) -> &'static str {
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
