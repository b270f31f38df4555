//! What an error of the connection or of etcd means: whether the request was carried out, surely was not, or
//! may have been.

use std::{error::Error as _, time::Duration};

use tonic::Code;

use crate::Error;

/// How one attempt to call etcd failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The request never left this process: no connection could be made. Safe to try elsewhere.
    NotSent(String),
    /// etcd refused it before doing anything, for lack of a leader or of capacity.
    Refused(String),
    /// No answer, or one that leaves the outcome open.
    Lost(String),
    /// The deadline passed.
    DeadlinePassed(Duration),
    /// A lease that the request named does not exist (any more).
    LeaseNotFound,
    /// A definite answer.
    Definite(Error),
}

impl Failure {
    /// What it means for a read, which changes nothing either way.
    pub(super) fn of_read(self) -> Error {
        match self {
            Self::NotSent(reason) | Self::Refused(reason) | Self::Lost(reason) => {
                Error::Unavailable { reason }
            }
            Self::DeadlinePassed(after) => Error::Timeout { after },
            Self::LeaseNotFound => Error::Internal { reason: "etcd missed a lease in a read".to_owned() },
            Self::Definite(error) => error,
        }
    }

    /// What it means for a write of `key`.
    pub(super) fn of_write(self, key: &str) -> Error {
        match self {
            Self::NotSent(reason) | Self::Refused(reason) => Error::Unavailable { reason },
            Self::Lost(reason) => Error::OutcomeUnknown { key: key.to_owned(), reason },
            Self::DeadlinePassed(after) => {
                Error::OutcomeUnknown { key: key.to_owned(), reason: format!("no answer within {after:?}") }
            }
            Self::LeaseNotFound => Error::Unavailable { reason: "the lease expired twice".to_owned() },
            Self::Definite(error) => error,
        }
    }
}

impl From<etcd_client::Error> for Failure {
    fn from(error: etcd_client::Error) -> Self {
        match error {
            etcd_client::Error::GRpcStatus(status) => {
                if never_sent(&status) {
                    return Self::NotSent(chain(&status));
                }
                classify(status.code(), status.message())
            }
            etcd_client::Error::TransportError(error) => Self::Lost(error.to_string()),
            other => Self::Definite(Error::Internal { reason: other.to_string() }),
        }
    }
}

/// Whether the connection failed before the request was written to it.
fn never_sent(status: &tonic::Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        // hyper says "canceled" of a request that still waited in line when its connection ended.
        let waiting = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        if waiting || error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The message with its causes: "tcp connect error" alone does not say which.
fn chain(status: &tonic::Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// What etcd's own errors mean. It tells most of them apart by the message alone.
fn classify(code: Code, message: &str) -> Failure {
    let reason = || message.to_owned();
    let has = |part: &str| message.contains(part);
    match code {
        Code::OutOfRange if has("has been compacted") => {
            Failure::Definite(Error::Compacted { requested: 0, compact_revision: None })
        }
        Code::OutOfRange if has("future revision") => {
            Failure::Definite(Error::FutureRevision { requested: 0 })
        }
        Code::NotFound if has("lease not found") => Failure::LeaseNotFound,
        Code::ResourceExhausted if has("database space exceeded") => Failure::Definite(Error::NoSpace),
        Code::ResourceExhausted if has("larger than max") => {
            Failure::Definite(Error::TooLarge { reason: reason() })
        }
        Code::ResourceExhausted => Failure::Refused(reason()),
        Code::InvalidArgument if has("too large") => Failure::Definite(Error::TooLarge { reason: reason() }),
        Code::DataLoss => Failure::Definite(Error::Corrupt { reason: reason() }),
        // Sent before the proposal: nothing was written. A *changed* leader or a timeout leaves it open.
        Code::Unavailable if has("no leader") => Failure::Refused(reason()),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Aborted | Code::Internal => {
            Failure::Lost(reason())
        }
        Code::DeadlineExceeded => Failure::Lost(reason()),
        _ => Failure::Definite(Error::Internal { reason: format!("{code:?}: {message}") }),
    }
}

/// Adds the revision that was asked for, which etcd's answer does not repeat.
pub(super) fn at_revision(error: Error, revision: Option<i64>) -> Error {
    let requested = revision.unwrap_or(0);
    match error {
        Error::Compacted { compact_revision, .. } => Error::Compacted { requested, compact_revision },
        Error::FutureRevision { .. } => Error::FutureRevision { requested },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages are those of etcd 3.4 to 3.6.
    #[test]
    fn only_a_refusal_is_definite_for_a_write() {
        let lost = [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unavailable, "etcdserver: server stopped"),
            (Code::Unknown, "transport error"),
            (Code::Cancelled, "operation was canceled"),
        ];
        for (code, message) in lost {
            let failure = classify(code, message);
            assert!(matches!(failure.of_write("/k"), Error::OutcomeUnknown { .. }), "{message}");
        }
        let refused = [
            (Code::Unavailable, "etcdserver: no leader"),
            (Code::ResourceExhausted, "etcdserver: too many requests"),
        ];
        for (code, message) in refused {
            assert!(matches!(classify(code, message).of_write("/k"), Error::Unavailable { .. }), "{message}");
        }
    }

    #[test]
    fn each_definite_answer_has_its_variant() {
        let answer = |code, message| match classify(code, message) {
            Failure::Definite(error) => error,
            other => panic!("{message}: {other:?}"),
        };
        assert_eq!(
            answer(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
            Error::NoSpace
        );
        assert!(matches!(
            answer(Code::InvalidArgument, "etcdserver: request is too large"),
            Error::TooLarge { .. }
        ));
        assert!(matches!(answer(Code::DataLoss, "etcdserver: corrupt cluster"), Error::Corrupt { .. }));
        let compacted = answer(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted");
        assert_eq!(
            at_revision(compacted, Some(7)),
            Error::Compacted { requested: 7, compact_revision: None }
        );
        let future = answer(Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision");
        assert_eq!(at_revision(future, Some(9)), Error::FutureRevision { requested: 9 });
    }

    #[test]
    fn a_read_is_never_of_unknown_outcome() {
        let failure = classify(Code::Unavailable, "etcdserver: request timed out");
        assert!(matches!(failure.of_read(), Error::Unavailable { .. }));
        assert!(matches!(Failure::DeadlinePassed(Duration::from_secs(5)).of_read(), Error::Timeout { .. }));
    }
}
