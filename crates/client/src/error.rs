//! What can go wrong with a call.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::meta::v1::{Status, StatusDetails};
use prost::Message;
use thiserror::Error;
use tonic::Code;

/// What went wrong with a call.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server refused; it says why.
    #[error("{}", .0.message)]
    Status(Box<Status>),
    /// The API server cannot be reached. Nothing was sent.
    #[error("cannot connect to the API server at {servers}")]
    Connect {
        /// Its addresses.
        servers: Arc<str>,
        /// What the transport says.
        source: Arc<tonic::Status>,
    },
    /// The connection broke before the answer: whether the call took effect is unknown.
    #[error("the connection to the API server broke before it answered")]
    Broken {
        /// What the transport says.
        source: Arc<tonic::Status>,
    },
    /// There was no answer in time: whether the call took effect is unknown.
    #[error("the API server did not answer within {limit:?}")]
    Deadline {
        /// How long the call waited.
        limit: Duration,
    },
    /// The answer is not what the API promises.
    #[error("the API server answered with something that is not {expected}")]
    Decode {
        /// What was expected.
        expected: &'static str,
        /// What does not fit.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The answer lacks what the API promises.
    #[error("the API server's answer lacks {missing}")]
    Incomplete {
        /// What is missing.
        missing: &'static str,
    },
    /// The request cannot be encoded.
    #[error("the request cannot be encoded")]
    Encode {
        /// What does not fit.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The process is shutting down.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    pub(crate) fn decode(
        expected: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Decode { expected, source: Arc::new(source) }
    }

    /// Tells an answer of the API server from a failure on the way to it. `limit` is the deadline that the call had.
    pub(crate) fn from_rpc(status: tonic::Status, servers: &Arc<str>, limit: Duration) -> Self {
        use std::error::Error as _;
        let mut cause = status.source();
        if cause.is_none() {
            return Self::answer(&status);
        }
        while let Some(error) = cause {
            // The transport watches the deadline too, and may notice it first.
            if error.is::<tonic::TimeoutExpired>() {
                return Self::Deadline { limit };
            }
            if error.is::<tonic::ConnectError>() {
                return Self::Connect { servers: servers.clone(), source: Arc::new(status) };
            }
            cause = error.source();
        }
        Self::Broken { source: Arc::new(status) }
    }

    /// An answer without a failure of the transport: the API server's, save where the client itself refused to read it.
    fn answer(status: &tonic::Status) -> Self {
        // The API server says "out of range" of revisions alone, and always with the details. Taken for its 410, an
        // answer that is too large to be read would make informers list again and again.
        if status.code() == Code::OutOfRange && status.details().is_empty() {
            let source = tonic::Status::new(status.code(), status.message());
            return Self::decode("an answer of a size that the client reads", source);
        }
        Self::Status(Box::new(answer(status)))
    }

    /// The API server's answer, where it gave one.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The reason of the API server's answer, such as `NotFound`; empty where it gave none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.status().map_or("", |status| &status.reason)
    }

    fn code(&self) -> i32 {
        self.status().map_or(0, |status| status.code)
    }

    /// The object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// The object was changed meanwhile, or a precondition does not hold: read it again.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == 409 && self.reason() != "AlreadyExists"
    }

    /// An object of this name exists.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// The revision is too old to watch or page from: list again.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.code() == 410
    }

    /// The object breaks a rule.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.code() == 422
    }

    /// The client may not do this.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.code() == 403
    }

    /// The namespace is being deleted and takes no new objects.
    #[must_use]
    pub fn is_namespace_terminating(&self) -> bool {
        self.status()
            .and_then(|status| status.details.as_ref())
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
    }

    /// Whether the same call may succeed later without anything being changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Deadline { .. } => true,
            Self::Status(status) => matches!(status.code, 429 | 500 | 503 | 504),
            _ => false,
        }
    }

    /// How long the API server asks to wait before the call is repeated.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.status()?.details.as_ref()?.retry_after_seconds;
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// The `Status` in the details of a gRPC status, or one that says the same as the gRPC code.
fn answer(rpc: &tonic::Status) -> Status {
    if !rpc.details().is_empty()
        && let Ok(status) = Status::decode(rpc.details())
        && status.code != 0
    {
        return status;
    }
    let (code, reason) = match rpc.code() {
        Code::InvalidArgument | Code::FailedPrecondition => (400, "BadRequest"),
        Code::Unauthenticated => (401, "Unauthorized"),
        Code::PermissionDenied => (403, "Forbidden"),
        Code::NotFound => (404, "NotFound"),
        Code::AlreadyExists => (409, "AlreadyExists"),
        Code::Aborted => (409, "Conflict"),
        Code::ResourceExhausted => (429, "TooManyRequests"),
        Code::DeadlineExceeded => (504, "Timeout"),
        Code::Unavailable => (503, "ServiceUnavailable"),
        Code::Unimplemented => (405, "MethodNotAllowed"),
        _ => (500, "InternalError"),
    };
    Status {
        status: "Failure".to_owned(),
        message: rpc.message().to_owned(),
        reason: reason.to_owned(),
        details: Some(StatusDetails::default()),
        code,
        ..Status::default()
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use gantry_api::meta::v1::Status;
    use prost::Message;
    use std::time::Duration;
    use tonic::Code;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn details_carry_the_status() {
        let status = Status {
            code: 409,
            reason: "AlreadyExists".into(),
            message: "it is there".into(),
            ..Default::default()
        };
        let rpc =
            tonic::Status::with_details(Code::AlreadyExists, "it is there", status.encode_to_vec().into());
        let error = Error::from_rpc(rpc, &"s".into(), LIMIT);
        assert!(error.is_already_exists() && !error.is_conflict());
        assert_eq!(error.to_string(), "it is there");
    }

    #[test]
    fn a_bare_code_becomes_a_status() {
        let error = Error::from_rpc(tonic::Status::new(Code::NotFound, "gone"), &"s".into(), LIMIT);
        assert!(error.is_not_found());
        assert_eq!(error.reason(), "NotFound");
        let unavailable = tonic::Status::new(Code::Unavailable, "etcd");
        assert!(Error::from_rpc(unavailable, &"s".into(), LIMIT).is_transient());
    }

    #[test]
    fn the_transports_own_deadline_is_a_deadline() {
        let expired = tonic::Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert!(
            matches!(Error::from_rpc(expired, &"s".into(), LIMIT), Error::Deadline { limit } if limit == LIMIT)
        );
    }

    #[test]
    fn an_answer_that_is_too_large_is_no_410() {
        let local = tonic::Status::out_of_range("decoded message length too large");
        assert!(!Error::from_rpc(local, &"s".into(), LIMIT).is_gone());
        let status = Status { code: 410, reason: "Expired".into(), ..Default::default() };
        let told = tonic::Status::with_details(Code::OutOfRange, "old", status.encode_to_vec().into());
        assert!(Error::from_rpc(told, &"s".into(), LIMIT).is_gone());
    }
}
