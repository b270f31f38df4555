//! What has been asked, and answered as expected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::client::{Answer, Request};

/// A request that was answered as expected.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The names of the query's parameters with their values.
    pub parameters: BTreeSet<(String, String)>,
    /// The only media type that was accepted; empty where several were, or none was named.
    pub accept: String,
    /// The media type of the request's body; empty where there was none.
    pub sent: String,
    /// The media type of the answer.
    pub got: String,
    /// The status code.
    pub status: u16,
    /// The reason of a Status.
    pub reason: String,
    /// The fields that the causes of a Status name.
    pub fields: BTreeSet<String>,
}

/// All that has been asked.
#[derive(Debug, Default)]
pub struct Coverage(Mutex<BTreeSet<Seen>>);

impl Coverage {
    /// Remembers a request whose answer was as expected.
    pub fn saw(&self, request: &Request, answer: &Answer) {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let header = |name: &str| {
            let found = request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.replace(' ', "")).unwrap_or_default()
        };
        let accept = header("accept");
        let status = if answer.status < 400 { Value::Null } else { answer.value().unwrap_or_default() };
        let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
        let seen = Seen {
            method: request.method.clone(),
            path: path.to_owned(),
            parameters: pairs(query).into_iter().collect(),
            accept: if accept.contains(',') { String::new() } else { accept },
            sent: request.body.as_ref().map(|(media_type, _)| media_type.clone()).unwrap_or_default(),
            got: answer.media_type().replace(' ', ""),
            status: answer.status,
            reason: status["reason"].as_str().unwrap_or_default().to_owned(),
            fields: causes.iter().filter_map(|cause| cause["field"].as_str()).map(str::to_owned).collect(),
        };
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(seen);
    }

    /// Everything that has been seen.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// The parameters of a query as they stand in it. A name alone has an empty value.
fn pairs(query: &str) -> BTreeMap<String, String> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.to_owned(), value.to_owned())
    };
    parts.map(pair).collect()
}

impl Seen {
    /// Whether the answer was a success.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        (101..400).contains(&self.status)
    }

    /// Whether the query had a parameter.
    #[must_use]
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|(name, _)| name == parameter)
    }

    /// Whether the query had a parameter with a value.
    #[must_use]
    pub fn says(&self, parameter: &str, value: &str) -> bool {
        self.parameters.iter().any(|(name, found)| name == parameter && found == value)
    }
}
