//! Which kind an object is stored as, where that is not its own: the events of both groups are stored as those of
//! the core group, as Kubernetes does.

use bytes::Bytes;
use gantry_api::{Kind, Resource, core, events};
use gantry_store::envelope::Envelope;
use prost::Message as _;

type CoreEvent = core::v1::Event;
type NewEvent = events::v1::Event;

/// The kind that objects of `kind` are stored as.
pub(crate) fn stored_kind(kind: &'static Kind) -> &'static Kind {
    if kind == NewEvent::kind() { CoreEvent::kind() } else { kind }
}

/// From an object's own bytes to those that are stored.
pub(crate) fn to_stored(kind: &'static Kind, raw: &Bytes) -> Result<Bytes, prost::DecodeError> {
    if kind != NewEvent::kind() {
        return Ok(raw.clone());
    }
    Ok(CoreEvent::from(NewEvent::decode(raw.clone())?).encode_to_vec().into())
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

/// From a stored value to the bytes of an object of a custom resource, without what its schema does not know, and with
/// defaults; says why that cannot be. The versions of a resource differ in nothing but their names.
pub(super) fn custom_from_stored(kind: &'static Kind, value: &Bytes) -> Result<Bytes, String> {
    let value: serde_json::Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let text = |field: &str| value.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map(|(group, _)| group);
    if group != Some(kind.group) || text("kind") != kind.kind {
        return Err(format!("it is a {} of {}", text("kind"), text("apiVersion")));
    }
    kind.decode_value(value).map(|object| object.encode()).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    })
}

/// From what is stored to the bytes of `kind`; says why that cannot be.
pub(super) fn from_stored(kind: &'static Kind, envelope: Envelope) -> Result<Bytes, String> {
    let is = |kind: &Kind| envelope.kind == kind.kind && envelope.api_version == kind.api_version();
    if is(kind) {
        return Ok(envelope.raw);
    }
    let converted = if kind == NewEvent::kind() && is(CoreEvent::kind()) {
        CoreEvent::decode(envelope.raw.clone()).map(|event| NewEvent::from(event).encode_to_vec())
    } else if kind == CoreEvent::kind() && is(NewEvent::kind()) {
        NewEvent::decode(envelope.raw.clone()).map(|event| CoreEvent::from(event).encode_to_vec())
    } else {
        return Err(format!("it is a {} of {}", envelope.kind, envelope.api_version));
    };
    converted.map(Bytes::from).map_err(|error| error.to_string())
}
