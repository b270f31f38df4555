//! Continue tokens: where a list goes on, and at which revision.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::cache::Entry;
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
#[derive(Serialize, Deserialize)]
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
        let invalid = |why: &str| ApiError::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid("it is not base64"))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|_| invalid("it is not a token"))?;
        if wire.v != VERSION {
            return Err(invalid(&format!("unknown version {:?}", wire.v)));
        }
        let revision = match wire.rv {
            -1 => None,
            revision if revision > 0 => Some(revision),
            _ => return Err(invalid("incorrect encoded start resourceVersion")),
        };
        let start = wire.start.strip_suffix('\0').unwrap_or(&wire.start);
        if start.is_empty() || start.contains("..") {
            return Err(invalid("incorrect encoded start key"));
        }
        let after = if namespace.is_empty() { start.to_owned() } else { format!("{namespace}/{start}") };
        Ok(Self { revision, after })
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

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
        for text in ["x", "e30", "!", ""] {
            assert!(Token::decode(text, "ns").is_err(), "{text}");
        }
    }
}
