//! Keeps the store's history short: every so often what is older than that is forgotten.

use std::time::Duration;

use gantry_store::{Error, Store};
use tokio_util::sync::CancellationToken;

/// How long the history is kept at least, and how often the older part is dropped.
const INTERVAL: Duration = Duration::from_secs(300);

/// Compacts until the token is cancelled. Several servers may do so at once: the history is then a little shorter,
/// but never shorter than one interval minus the time between their turns.
pub(crate) async fn run(store: &dyn Store, shutdown: CancellationToken) {
    let mut before = None;
    while shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        let now = match store.current_revision().await {
            Ok(revision) => revision,
            Err(error) => {
                tracing::warn!(%error, "the store cannot be compacted now");
                continue;
            }
        };
        if let Some(revision) = before.replace(now) {
            match store.compact(revision).await {
                Ok(()) => tracing::debug!(revision, "compacted the store"),
                // Somebody else has.
                Err(Error::Compacted { .. }) => {}
                Err(error) => tracing::warn!(%error, revision, "the store was not compacted"),
            }
        }
    }
}
