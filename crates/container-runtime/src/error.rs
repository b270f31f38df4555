//! What can go wrong.

use std::time::Duration;

/// The result of a runtime operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a runtime operation failed.
///
/// It can be cloned because callers that asked for the same pull share its outcome.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The container, task, exec or image does not exist.
    #[error("{kind} {name:?} not found")]
    NotFound {
        /// What was looked for: `container`, `image`, ...
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Something of that name is already there.
    #[error("{kind} {name:?} already exists")]
    AlreadyExists {
        /// What was to be made.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The operation does not fit the state that the container is in.
    #[error("container {id:?} is {state}: {reason}")]
    WrongState {
        /// The container.
        id: String,
        /// Its state.
        state: String,
        /// What would have to be different.
        reason: &'static str,
    },
    /// A field of the configuration cannot be used.
    #[error("{field}: {value:?} {reason}")]
    InvalidConfig {
        /// The field's name.
        field: &'static str,
        /// What it says.
        value: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// The image reference cannot be parsed.
    #[error("invalid image reference {reference:?}: {reason}")]
    InvalidReference {
        /// As it was given.
        reference: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// The registry answered, and refused.
    #[error("pull {reference:?}: {registry} answered {status}{}", message_suffix(.message))]
    Registry {
        /// The image that was asked for.
        reference: String,
        /// Who answered.
        registry: String,
        /// The HTTP status.
        status: u16,
        /// The registry's own code and message; may be empty.
        message: String,
    },
    /// The registry could not be reached, or the connection broke.
    #[error("pull {reference:?}: {registry}: {reason}")]
    RegistryUnavailable {
        /// The image that was asked for.
        reference: String,
        /// Who was asked.
        registry: String,
        /// Why not.
        reason: String,
    },
    /// The registry answered with something that is not a usable image.
    #[error("image {reference:?}: {reason}")]
    BadImage {
        /// The image.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The runtime daemon cannot be reached at present.
    #[error("{call}: runtime unavailable: {reason}")]
    Unavailable {
        /// The call that failed.
        call: &'static str,
        /// Why.
        reason: String,
    },
    /// The operation took too long.
    #[error("{call}: no answer within {after:?}")]
    Deadline {
        /// The call that was given up.
        call: &'static str,
        /// Its time limit.
        after: Duration,
    },
    /// The runtime refused, for a reason of its own.
    #[error("{call}: {reason}")]
    Runtime {
        /// The call that failed.
        call: &'static str,
        /// What the runtime said.
        reason: String,
    },
    /// The host's file system refused.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
}

impl Error {
    /// Whether what the operation was about does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether what the operation was to make is already there.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. })
    }

    /// Whether the same call may succeed later without anything else being changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Deadline { .. } | Self::RegistryUnavailable { .. } => true,
            Self::Registry { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn message_suffix(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_answer_is_in_the_text() {
        let error = Error::Registry {
            reference: "r:5000/a:1".into(),
            registry: "r:5000".into(),
            status: 404,
            message: "MANIFEST_UNKNOWN: manifest unknown".into(),
        };
        assert_eq!(
            error.to_string(),
            "pull \"r:5000/a:1\": r:5000 answered 404: MANIFEST_UNKNOWN: manifest unknown"
        );
        assert!(!error.is_transient());
    }
}
