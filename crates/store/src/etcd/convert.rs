//! etcd's messages to ours. Values are moved, never copied.

use etcd_client::proto::{PbEvent, PbKeyValue, PbResponseHeader, PbTxnOpResponse, PbTxnResponse};

use crate::{Deleted, Error, Event, Found, KeyValue, Result};

/// A range of keys, the end excluded.
pub(super) struct Range {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
}

/// The keys that begin with `prefix`, and only those after `after`.
pub(super) fn range(prefix: &str, after: Option<&str>) -> Range {
    let mut end = prefix.as_bytes().to_vec();
    // The last byte of UTF-8 text is never 0xff, so this is the first key beyond the prefix.
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(0),
    }
    let start = match after {
        // The next possible key.
        Some(after) => [after.as_bytes(), b"\0"].concat(),
        None if prefix.is_empty() => vec![0],
        None => prefix.as_bytes().to_vec(),
    };
    Range { start, end }
}

pub(super) fn revision(header: Option<&PbResponseHeader>) -> Result<i64> {
    header.map(|header| header.revision).ok_or_else(|| nonsense("an answer without a header"))
}

pub(super) fn key_value(kv: PbKeyValue) -> Result<KeyValue> {
    let key = String::from_utf8(kv.key).map_err(|error| Error::Corrupt {
        reason: format!("key {:?} is not UTF-8", error.as_bytes().escape_ascii().to_string()),
    })?;
    Ok(KeyValue {
        key,
        value: kv.value.into(),
        mod_revision: kv.mod_revision,
        create_revision: kv.create_revision,
        version: kv.version,
    })
}

/// The value that the else-branch of a transaction read.
pub(super) fn found(answer: PbTxnResponse) -> Result<Found> {
    let revision = revision(answer.header.as_ref())?;
    match answer.responses.into_iter().next().and_then(|response| response.response) {
        Some(PbTxnOpResponse::ResponseRange(range)) => {
            Ok(Found { kv: range.kvs.into_iter().next().map(key_value).transpose()?, revision })
        }
        _ => Err(nonsense("a refused transaction without the current value")),
    }
}

/// The value that a transaction deleted, if there was one.
pub(super) fn deleted(answer: PbTxnResponse) -> Result<Option<Deleted>> {
    let revision = revision(answer.header.as_ref())?;
    match answer.responses.into_iter().next().and_then(|response| response.response) {
        Some(PbTxnOpResponse::ResponseDeleteRange(deleted)) => {
            let kv = deleted.prev_kvs.into_iter().next().map(key_value).transpose()?;
            Ok(kv.map(|kv| Deleted { kv, revision }))
        }
        _ => Err(nonsense("a deletion without its result")),
    }
}

/// An event, or nothing for a key that is none of ours since it is no text.
pub(super) fn event(event: PbEvent) -> Option<Event> {
    const PUT: i32 = 0;
    let kv = key_value(event.kv?).ok()?;
    let previous = event.prev_kv.and_then(|kv| key_value(kv).ok());
    Some(match event.r#type {
        PUT => Event::Put { kv, previous },
        _ => Event::Delete { key: kv.key, mod_revision: kv.mod_revision, previous },
    })
}

fn nonsense(what: &str) -> Error {
    Error::Internal { reason: format!("etcd sent {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_becomes_a_range() {
        let all = range("/registry/pods/", None);
        assert_eq!((all.start, all.end), (b"/registry/pods/".to_vec(), b"/registry/pods0".to_vec()));
        let rest = range("/a/", Some("/a/b"));
        assert_eq!((rest.start, rest.end), (b"/a/b\0".to_vec(), b"/a0".to_vec()));
        let everything = range("", None);
        assert_eq!((everything.start, everything.end), (vec![0], vec![0]));
    }

    #[test]
    fn a_key_that_is_not_text_is_corrupt_in_a_read_and_skipped_in_a_feed() {
        let kv = PbKeyValue { key: vec![0xff], ..PbKeyValue::default() };
        assert!(matches!(key_value(kv.clone()), Err(Error::Corrupt { .. })));
        assert_eq!(event(PbEvent { kv: Some(kv), ..PbEvent::default() }), None);
    }
}
