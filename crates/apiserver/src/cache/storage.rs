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
