//! Which kind an object is stored as, where that is not its own, and how it comes out again.

use bytes::Bytes;
use gantry_api::{DecodeError, Kind, convert, registry};
use gantry_store::envelope::Envelope;
use serde_json::Value;

/// The kind that objects of `kind` are stored as.
pub(crate) fn stored_kind(kind: &'static Kind) -> &'static Kind {
    convert::stored_kind(kind)
}

/// From an object's own bytes to those that are stored.
pub(crate) fn to_stored(kind: &'static Kind, raw: &Bytes) -> Result<Bytes, DecodeError> {
    recoded(kind, raw, stored_kind(kind)).map(|bytes| bytes.unwrap_or_else(|| raw.clone()))
}

/// From the bytes of an object of a custom resource, in the kind's version, to the JSON that is stored.
pub(crate) fn custom_to_stored(kind: &'static Kind, raw: &Bytes) -> Result<Bytes, String> {
    let object = kind.decode(raw.clone()).map_err(|error| error.to_string())?;
    let (group, version) = (kind.group, kind.storage_version());
    let mut json = format!(r#"{{"apiVersion":"{group}/{version}","kind":"{}","#, kind.kind).into_bytes();
    let mut fields = Vec::new();
    object.write_json(&mut fields).map_err(|error| error.to_string())?;
    // An object has metadata, so there is always something behind the brace.
    json.extend_from_slice(fields.get(1..).unwrap_or_default());
    Ok(json.into())
}

/// A stored object of a custom resource, as a kind of it reads it.
pub(super) enum Opened {
    /// Its bytes in the kind's version, and whether it would be stored in another version now.
    Own(Bytes, bool),
    /// It is of another version, which somebody else must convert.
    Foreign(bool),
}

/// The version that an object of a custom resource says that it is of. Fails where it is none of the resource's.
pub(crate) fn version_of<'a>(kind: &Kind, value: &'a Value) -> Result<&'a str, String> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    match text("apiVersion").split_once('/') {
        Some((group, version)) if group == kind.group && text("kind") == kind.kind => Ok(version),
        _ => Err(format!("it is a {} of {}", text("kind"), text("apiVersion"))),
    }
}

/// From a stored value to the bytes of an object of a custom resource, without what its schema does not know, and with
/// defaults; says why that cannot be. Where nobody converts, versions differ in nothing but their names.
pub(super) fn custom_from_stored(kind: &'static Kind, value: &Bytes) -> Result<Opened, String> {
    let value: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let version = version_of(kind, &value)?;
    let definition = kind.definition();
    let outdated = definition.as_ref().is_some_and(|definition| definition.storage_version() != version);
    let converts = definition.is_some_and(|definition| definition.conversion().is_some());
    if converts && version != kind.version {
        return Ok(Opened::Foreign(outdated));
    }
    kind.decode_value(value).map(|object| Opened::Own(object.encode(), outdated)).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    })
}

/// From what is stored to the bytes of `kind`; says why that cannot be. What somebody stored as another version of the
/// same object is read as well.
pub(super) fn from_stored(kind: &'static Kind, envelope: Envelope) -> Result<Bytes, String> {
    let is = |kind: &Kind| envelope.kind == kind.kind && envelope.api_version == kind.api_version();
    if is(kind) {
        return Ok(envelope.raw);
    }
    let strange = || format!("it is a {} of {}", envelope.kind, envelope.api_version);
    let found = registry::all().iter().copied().find(|other| is(other)).ok_or_else(strange)?;
    if stored_kind(found) != stored_kind(kind) {
        return Err(strange());
    }
    let bytes = recoded(found, &envelope.raw, kind).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })?;
    bytes.ok_or_else(strange)
}

/// The bytes of the same object as another kind; `None` where they are the same or the kinds have nothing in common.
fn recoded(from: &'static Kind, raw: &Bytes, to: &'static Kind) -> Result<Option<Bytes>, DecodeError> {
    if from == to {
        return Ok(None);
    }
    let object = from.decode(raw.clone())?;
    Ok(convert::convert(&*object, to).map(|object| object.encode()))
}

#[cfg(test)]
mod tests {
    use gantry_api::Resource as _;
    use gantry_api::autoscaling::{v1, v2};
    use gantry_store::envelope;
    use prost::Message as _;

    use super::*;

    fn stored_as(api_version: &str, kind: &str, raw: Bytes) -> Envelope {
        envelope::decode(&envelope::wrap(api_version, kind, &raw)).unwrap()
    }

    #[test]
    fn any_version_is_read_as_any() {
        let (old, new) = (v1::HorizontalPodAutoscaler::kind(), v2::HorizontalPodAutoscaler::kind());
        let mut object = v1::HorizontalPodAutoscaler::default();
        object.spec.get_or_insert_default().max_replicas = 3;
        let raw = Bytes::from(object.encode_to_vec());
        let stored = to_stored(old, &raw).unwrap();
        let read = new.decode(stored.clone()).unwrap();
        let read: &v2::HorizontalPodAutoscaler = read.downcast_ref().unwrap();
        assert_eq!(read.spec.as_ref().unwrap().max_replicas, 3);
        assert_eq!(to_stored(new, &stored).unwrap(), stored);
        for (version, bytes) in [("autoscaling/v1", &raw), ("autoscaling/v2", &stored)] {
            for kind in [old, new] {
                let found = stored_as(version, "HorizontalPodAutoscaler", bytes.clone());
                let found = kind.decode(from_stored(kind, found).unwrap()).unwrap();
                assert_eq!(found.kind(), kind, "{version}");
            }
        }
        let pod = from_stored(new, stored_as("v1", "Pod", raw)).unwrap_err();
        assert_eq!(pod, "it is a Pod of v1");
    }
}
