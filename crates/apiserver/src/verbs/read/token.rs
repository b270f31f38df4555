//! Continue tokens: where a list goes on, and at which revision.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine as _};
use serde::{Deserialize, Serialize};

use crate::cache::Entry;
use crate::go_json;
use crate::status::ApiError;

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The revision of the first page; none if the list goes on at the newest.
    pub(super) revision: Option<i64>,
    /// The key of the last object of the page before.
    pub(super) after: String,
}

/// As clients carry it, as upstream's: the start is the first key that may follow, relative to the namespace.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Wire {
    v: String,
    rv: i64,
    start: String,
}

const VERSION: &str = "meta.k8s.io/v1";

impl Token {
    /// The token of a page that ends with `last`.
    pub(super) fn after(revision: i64, last: &Entry, namespace: &str) -> String {
        Self { revision: Some(revision), after: last.key().to_string() }.encode(namespace)
    }

    pub(super) fn encode(&self, namespace: &str) -> String {
        let start = if namespace.is_empty() {
            self.after.as_str()
        } else {
            self.after.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&self.after)
        };
        let wire =
            Wire { v: VERSION.to_owned(), rv: self.revision.unwrap_or(-1), start: format!("{start}\0") };
        // Strings and a number always serialize.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Reads a token of a list of `namespace` (empty: of all).
    pub(super) fn decode(text: &str, namespace: &str) -> Result<Self, ApiError> {
        let invalid = |why: String| {
            ApiError::bad_request(format!("invalid continue token: continue key is not valid{why}"))
        };
        let bytes =
            decode(text).map_err(|at| invalid(format!(": illegal base64 data at input byte {at}")))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| {
            invalid(format!(": {}", go_json::why_not(&bytes).unwrap_or_else(|| error.to_string())))
        })?;
        if wire.v != VERSION {
            return Err(invalid(format!(": server does not recognize this encoded version {}", wire.v)));
        }
        let revision = match wire.rv {
            0 => {
                return Err(invalid(format!(
                    ": incorrect encoded start resourceVersion (version {VERSION})"
                )));
            }
            ..0 => None,
            revision => Some(revision),
        };
        if wire.start.is_empty() {
            return Err(invalid(format!(": encoded start key empty (version {VERSION})")));
        }
        let start = wire.start.strip_suffix('\0').unwrap_or(&wire.start);
        let start = start.strip_prefix('/').unwrap_or(start);
        // No object has such a key, so that nobody can look outside of what he may see.
        let is_clean = |segment: &str| !matches!(segment, "" | "." | "..");
        if !start.split('/').all(is_clean) {
            return Err(invalid(format!(": {}", wire.start)));
        }
        let after = if namespace.is_empty() { start.to_owned() } else { format!("{namespace}/{start}") };
        Ok(Self { revision, after })
    }
}

/// Base64 without padding; fails with the place of what is none.
fn decode(text: &str) -> Result<Vec<u8>, usize> {
    URL_SAFE_NO_PAD.decode(text).map_err(|error| match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        for (revision, after, namespace) in
            [(Some(5), "ns/a", "ns"), (Some(5), "ns/a", ""), (None, "a", ""), (Some(1), "n.s/a-b", "n.s")]
        {
            let token = Token { revision, after: after.to_owned() };
            assert_eq!(Token::decode(&token.encode(namespace), namespace).unwrap(), token);
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let why = |text: &str| Token::decode(text, "ns").unwrap_err().to_string();
        let encoded = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let head = "invalid continue token: continue key is not valid";
        for (token, wanted) in [
            ("!".to_owned(), ": illegal base64 data at input byte 0"),
            (String::new(), ": unexpected end of JSON input"),
            (encoded("{"), ": unexpected end of JSON input"),
            (encoded("{}"), ": server does not recognize this encoded version "),
            (
                encoded(r#"{"v":"meta.k8s.io/v1","start":"a"}"#),
                ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                encoded(r#"{"v":"meta.k8s.io/v1","rv":1}"#),
                ": encoded start key empty (version meta.k8s.io/v1)",
            ),
            (encoded(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a/../b"}"#), ": a/../b"),
        ] {
            assert_eq!(why(&token), format!("{head}{wanted}"), "{token}");
        }
    }
}
