//! The watch cache: every object of a resource in memory, and the recent changes.
//!
//! One task per resource follows the store and is the only writer. Reads hold the lock briefly and take shared
//! entries away; a consistent read asks the store for its revision, once for all who ask at the same time, and waits
//! until the cache has come that far. A watcher is a [`Cursor`](cursor::Cursor) into the log of changes.

mod cursor;
mod entry;
mod feed;
mod follow;
mod log;
mod read;
mod state;
pub(crate) mod storage;
mod topic;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::Kind;
use gantry_api::meta::v1::StatusCause;
use gantry_store::keys::ResourceKeys;
use gantry_store::{Progress, Store};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;

pub use entry::{Attributes, Entry};
pub(crate) use follow::{Follower, Step};
pub(crate) use log::Change;
pub(crate) use read::{Page, Selection};
pub(crate) use watch::{Start, item};

use crate::status::ApiError;
use state::State;

/// How long a read waits for the cache to come as far as it must.
const CATCH_UP: Duration = Duration::from_secs(3);
/// How many own writes may wait to be seen in the watch.
const MAX_OWN: usize = 4096;

/// The objects of one resource.
pub(crate) struct Cache {
    kind: &'static Kind,
    keys: ResourceKeys,
    store: Arc<dyn Store>,
    state: RwLock<State>,
    /// The revision of `state`, for those who wait for it.
    known: channel::Sender<i64>,
    progress: Mutex<Option<Progress>>,
    /// What this server wrote and the watch has not delivered yet.
    own: Mutex<HashMap<Arc<str>, Arc<Entry>>>,
    /// Cancelled when the resource is not served any more.
    closed: CancellationToken,
}

impl Cache {
    /// An empty cache; [`Cache::run`] fills it.
    pub(crate) fn new(kind: &'static Kind, keys: ResourceKeys, store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            keys,
            store,
            state: RwLock::default(),
            known: channel::Sender::new(0),
            progress: Mutex::default(),
            own: Mutex::default(),
            closed: CancellationToken::new(),
        })
    }

    /// The kind of its objects.
    pub(crate) fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Whether objects of other versions are to be converted by somebody else.
    pub(crate) fn converts(&self) -> bool {
        self.kind.definition().is_some_and(|definition| definition.conversion().is_some())
    }

    /// Where its objects are stored.
    pub(crate) fn keys(&self) -> &ResourceKeys {
        &self.keys
    }

    /// Ends its task and its watches: the resource is not served any more, or looks different now.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// Whether it has been filled.
    pub(crate) fn is_filled(&self) -> bool {
        *self.known.borrow() > 0
    }

    /// Remembers what this server wrote, so that the watch need not decode it.
    pub(crate) fn wrote(&self, entry: &Arc<Entry>) {
        let mut own = self.own.lock();
        if *self.known.borrow() >= entry.revision() {
            return;
        }
        if own.len() >= MAX_OWN {
            own.clear();
        }
        own.insert(entry.key().clone(), entry.clone());
    }

    /// The object as the cache has it now, which may be a little behind.
    pub(crate) fn peek(&self, key: &str) -> Option<Arc<Entry>> {
        self.state.read().entries.get(key).cloned()
    }

    /// How many objects there are, and their bytes together.
    pub(crate) fn size(&self) -> (usize, usize) {
        let state = self.state.read();
        (state.entries.len(), state.bytes)
    }

    /// The object as it is at least as new as everything that was acknowledged before.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Arc<Entry>>, ApiError> {
        self.catch_up().await?;
        Ok(self.peek(key))
    }

    /// Waits until the cache has everything that was acknowledged before.
    pub(crate) async fn catch_up(&self) -> Result<i64, ApiError> {
        let revision = self.store.current_revision().await;
        let revision = revision.map_err(|error| ApiError::from_store(self.kind, "", error))?;
        self.wait_for(revision, revision).await?;
        Ok(revision)
    }

    /// Waits until the cache is at `revision` or later.
    pub(crate) async fn reach(&self, revision: i64) -> Result<(), ApiError> {
        // Even "any revision" must be one.
        let revision = revision.max(1);
        if *self.known.borrow() >= revision {
            return Ok(());
        }
        // A client may name a revision that is not there yet. The store reports only one that it has, and whoever waits
        // for that would wait as long.
        let there = if revision == 1 { Ok(1) } else { self.store.current_revision().await };
        let there = there.map_err(|error| ApiError::from_store(self.kind, "", error))?;
        self.wait_for(revision, revision.min(there)).await
    }

    /// Waits until the cache is at `revision`, after asking for news of `there`, a revision that the store has.
    async fn wait_for(&self, revision: i64, there: i64) -> Result<(), ApiError> {
        if *self.known.borrow() >= revision {
            return Ok(());
        }
        let mut known = self.known.subscribe();
        if let Some(progress) = &*self.progress.lock() {
            progress.request(there);
        }
        match tokio::time::timeout(CATCH_UP, known.wait_for(|known| *known >= revision)).await {
            Ok(_) => Ok(()),
            Err(_) if !self.is_filled() => {
                Err(ApiError::unavailable(format!("storage of {} is not readable yet", self.kind.plural)))
            }
            Err(_) => {
                let current = *self.known.borrow();
                let message = format!("Too large resource version: {revision}, current: {current}");
                let cause = StatusCause {
                    reason: "ResourceVersionTooLarge".to_owned(),
                    message: "Too large resource version".to_owned(),
                    field: String::new(),
                };
                Err(ApiError::timeout(message).with_cause(cause).with_retry_after(1))
            }
        }
    }
}
