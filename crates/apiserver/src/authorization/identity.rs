//! Which object it is, read without the rest of it: that is asked with each request, and objects may be large.

use gantry_api::scalars::Time;
use prost::Message as _;

use crate::cache::Entry;
use crate::status::ApiError;

/// The part of an object's metadata that tells it from others of its name, and its states from each other.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Identity {
    #[prost(string, tag = "5")]
    pub(crate) uid: String,
    #[prost(int64, tag = "7")]
    pub(crate) generation: i64,
    #[prost(message, optional, tag = "9")]
    pub(crate) deletion_timestamp: Option<Time>,
}

/// An object of any kind: in every kind's message the metadata is the first field, and the rest is skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct Head {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Identity>,
}

/// Which object it is.
pub(crate) fn identity(entry: &Entry) -> Result<Identity, ApiError> {
    entry.readable()?;
    let head = Head::decode(entry.bytes()).map_err(ApiError::internal)?;
    Ok(head.metadata.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::Pod;
    use gantry_api::{Object, Resource};

    use super::*;
    use crate::cache::Attributes;

    #[test]
    fn an_object_is_told_by_its_metadata() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "a", "uid": "u", "generation": 3,
                         "deletionTimestamp": "1970-01-01T00:00:09Z", "labels": {"a": "b"}},
            "spec": {"nodeName": "n"},
        }))
        .unwrap();
        let (kind, raw) = (<Pod as Resource>::kind(), Object::encode(&pod));
        let entry = Entry::new(kind, "a/p".into(), 7, &raw, Attributes::default());
        let found = identity(&entry).unwrap();
        assert_eq!((found.uid.as_str(), found.generation), ("u", 3));
        assert_eq!(found.deletion_timestamp, Some(Time { seconds: 9, nanos: 0 }));
    }
}
