//! The interface of a store and the values that cross it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Result, Watch};

/// A stored value with the revisions of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The full key.
    pub key: String,
    /// The stored bytes, as they were written.
    pub value: Bytes,
    /// The revision of the last write: the object's `resourceVersion`.
    pub mod_revision: i64,
    /// The revision of the write that created the key.
    pub create_revision: i64,
    /// How many times the key was written since it was created, beginning with 1.
    pub version: i64,
}

/// What a [`Store::get`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value, if the key exists.
    pub kv: Option<KeyValue>,
    /// The revision of the store that this is true for.
    pub revision: i64,
}

/// What a [`Store::delete`] removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The value as it was before.
    pub kv: KeyValue,
    /// The revision of the deletion.
    pub revision: i64,
}

/// Which part of a prefix to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// The revision to read at; the newest one if not given.
    pub revision: Option<i64>,
    /// At most so many items; 0 for all of them.
    pub limit: usize,
    /// Only keys after this one, which is the last key of the page before.
    pub after: Option<String>,
}

/// One page of a list, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The items.
    pub items: Vec<KeyValue>,
    /// The revision that was read: the next page must be asked for at the same.
    pub revision: i64,
    /// How many items follow after this page; 0 if this is the last.
    pub remaining: usize,
}

impl ListPage {
    /// Whether another page follows.
    #[must_use]
    pub fn more(&self) -> bool {
        self.remaining > 0
    }
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The key was created (`kv.version` is 1) or changed.
    Put {
        /// The new value.
        kv: KeyValue,
        /// The value before, if there was one and the store keeps it for watches.
        previous: Option<KeyValue>,
    },
    /// The key was deleted, by a caller or because its time ran out.
    Delete {
        /// The deleted key.
        key: String,
        /// The revision of the deletion.
        mod_revision: i64,
        /// The value before, if the store keeps it for watches and it is not compacted.
        previous: Option<KeyValue>,
    },
}

impl Event {
    /// The key that changed.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { kv, .. } => &kv.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// The revision of the change.
    #[must_use]
    pub fn revision(&self) -> i64 {
        match self {
            Self::Put { kv, .. } => kv.mod_revision,
            Self::Delete { mod_revision, .. } => *mod_revision,
        }
    }

    /// The value before the change, where it is known.
    #[must_use]
    pub fn previous(&self) -> Option<&KeyValue> {
        match self {
            Self::Put { previous, .. } | Self::Delete { previous, .. } => previous.as_ref(),
        }
    }
}

/// A multi-version store of bytes.
///
/// Every call ends within the store's deadline. Writes are guarded by revisions and are each one transaction.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads one key, seeing every write that was acknowledged before the call.
    async fn get(&self, key: &str) -> Result<Found>;

    /// Lists the keys that begin with `prefix`. Without a limit the list is still one revision, however many
    /// requests it takes.
    async fn list(&self, prefix: &str, options: ListOptions) -> Result<ListPage>;

    /// Writes a key that must not exist, and returns the revision. With `ttl` the key is deleted after that
    /// time at the earliest.
    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<i64>;

    /// Writes a key that must still be at `expected` (its `mod_revision`), and returns the new revision.
    /// Without `ttl` a key that had one loses it.
    async fn update(&self, key: &str, value: Bytes, expected: i64, ttl: Option<Duration>) -> Result<i64>;

    /// Deletes a key, if `expected` is given only if it is still at that revision.
    async fn delete(&self, key: &str, expected: Option<i64>) -> Result<Deleted>;

    /// Watches the keys that begin with `prefix`: every change with a revision above `after`, or above the
    /// present revision if `after` is not given. The watch survives interruptions of the store and ends with an
    /// error only if it cannot go on, mostly [`Error::Compacted`](crate::Error::Compacted).
    async fn watch(&self, prefix: &str, after: Option<i64>) -> Result<Watch>;

    /// The revision of the store, not older than any write that was acknowledged before the call.
    async fn current_revision(&self) -> Result<i64>;

    /// Forgets the history before `revision`.
    async fn compact(&self, revision: i64) -> Result<()>;
}
