//! A watcher's place in the log.

use std::sync::Arc;

use tokio::sync::Notify;

use super::Cache;
use super::log::Change;
use super::topic::Topic;
use crate::status::ApiError;

/// How many changes a watcher takes at once.
const BATCH: usize = 512;

/// A watcher's place in the log. It costs nothing while it waits; one that falls too far behind finds that the
/// changes it has not seen are forgotten.
pub(crate) struct Cursor {
    cache: Arc<Cache>,
    topic: Topic,
    wake: Arc<Notify>,
    position: u64,
    /// Everything up to here has been taken.
    revision: i64,
}

/// What a cursor took.
pub(super) struct Taken {
    pub(super) changes: Vec<Arc<Change>>,
    /// Everything of the topic up to here has been taken, these changes included.
    pub(super) revision: i64,
}

impl Cursor {
    pub(super) fn new(
        cache: Arc<Cache>,
        topic: Topic,
        wake: Arc<Notify>,
        position: u64,
        revision: i64,
    ) -> Self {
        Self { cache, topic, wake, position, revision }
    }

    /// What has happened since; no changes if nothing has.
    pub(super) fn take(&mut self) -> Result<Taken, ApiError> {
        let state = self.cache.state.read();
        let Some((changes, next)) = state.topics.read(&self.topic, self.position, BATCH, &state.log) else {
            return Err(ApiError::too_old(self.revision, state.log.after()));
        };
        self.position = next;
        self.revision = if next == state.log.end() {
            state.revision
        } else {
            changes.last().map_or(self.revision, |change| change.revision)
        };
        Ok(Taken { changes, revision: self.revision })
    }

    /// Waits until there are changes.
    pub(super) async fn next(&mut self) -> Result<Taken, ApiError> {
        let wake = self.wake.clone();
        loop {
            let mut woken = std::pin::pin!(wake.notified());
            // Before looking: what comes after the look wakes.
            woken.as_mut().enable();
            let taken = self.take()?;
            if !taken.changes.is_empty() {
                return Ok(taken);
            }
            woken.await;
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.cache.state.write().topics.leave(&self.topic);
    }
}
