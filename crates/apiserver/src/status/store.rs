//! What a failure of the storage means to the client.

use gantry_api::Kind;
use gantry_store::Error;

use super::{ApiError, Reason};

impl ApiError {
    /// The answer to a request about `name` (empty for a collection) whose storage operation failed.
    #[must_use]
    pub fn from_store(kind: &Kind, name: &str, error: Error) -> Self {
        match error {
            Error::AlreadyExists { .. } => Self::already_exists(kind, name),
            Error::NotFound { .. } => Self::not_found(kind, name),
            Error::Conflict { .. } => Self::modified(kind, name),
            Error::Compacted { requested, compact_revision } => {
                Self::too_old(requested, compact_revision.unwrap_or(requested + 1))
            }
            Error::FutureRevision { requested } => {
                Self::timeout(format!("Too large resource version: {requested}")).with_retry_after(1)
            }
            Error::Unavailable { .. } => Self::unavailable(error.to_string()),
            Error::Timeout { .. } => Self::timeout(error.to_string()).with_retry_after(1),
            Error::OutcomeUnknown { .. } => {
                Self::timeout(format!("{error}; read the object before you write it again"))
            }
            Error::TooLarge { .. } => {
                Self::about(Reason::RequestEntityTooLarge, kind, name, error.to_string())
            }
            Error::NoSpace => Self::new(
                Reason::InternalError,
                "storage is out of space: compact and defragment etcd, then disarm its NOSPACE alarm",
            ),
            Error::Corrupt { .. } | Error::Internal { .. } => Self::internal(error),
        }
    }
}
