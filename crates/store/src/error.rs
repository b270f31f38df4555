//! What can go wrong, one variant for each answer that the API gives its client.

use std::time::Duration;

use crate::KeyValue;

/// The result of a call to a [`Store`](crate::Store).
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. Clonable, since one failure can be the answer to many waiting callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A create found the key taken.
    #[error("key {key} already exists")]
    AlreadyExists {
        /// The key that is taken.
        key: String,
    },
    /// The key to update or delete is not there.
    #[error("key {key} not found")]
    NotFound {
        /// The missing key.
        key: String,
    },
    /// The key was changed since the caller read it.
    #[error("key {} is at revision {}, not {expected}", current.key, current.mod_revision)]
    Conflict {
        /// The revision that the caller required.
        expected: i64,
        /// What is stored now, read in the same transaction.
        current: Box<KeyValue>,
    },
    /// The revision asked for has been compacted away: list again and go on from there.
    #[error("revision {requested} has been compacted")]
    Compacted {
        /// The revision that was asked for.
        requested: i64,
        /// The oldest revision that can still be asked for, where the store said it.
        compact_revision: Option<i64>,
    },
    /// The revision asked for has not happened yet.
    #[error("revision {requested} is in the future")]
    FutureRevision {
        /// The revision that was asked for.
        requested: i64,
    },
    /// The store cannot be reached or has no leader. Nothing was written.
    #[error("storage is unavailable: {reason}")]
    Unavailable {
        /// What the connection or the server said.
        reason: String,
    },
    /// A read had no answer within its deadline.
    #[error("storage did not answer within {after:?}")]
    Timeout {
        /// The deadline that passed.
        after: Duration,
    },
    /// A write was sent and its answer never came: it may have happened or may yet happen. Read before writing
    /// again.
    #[error("the outcome of the write to {key} is unknown: {reason}")]
    OutcomeUnknown {
        /// The key that may have been written.
        key: String,
        /// How the answer was lost.
        reason: String,
    },
    /// The store has used up its space and takes no writes until it is compacted and its alarm cleared.
    #[error("storage is out of space")]
    NoSpace,
    /// The store or a value in it is damaged.
    #[error("storage is corrupt: {reason}")]
    Corrupt {
        /// What was found.
        reason: String,
    },
    /// The value is larger than the store takes.
    #[error("the value is too large for storage: {reason}")]
    TooLarge {
        /// The limit, in the store's words.
        reason: String,
    },
    /// Anything else: a bug here or an answer that makes no sense.
    #[error("storage failed: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// Whether the same call can succeed later without anything being changed by the caller. An unknown outcome
    /// is not among them: the caller has to look first.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. })
    }
}
