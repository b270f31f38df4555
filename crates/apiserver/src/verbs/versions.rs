//! The versions of a group are the same objects in other words. Whatever version a client speaks, its object is changed
//! in the one whose rules hold, and the client gets it back in its own.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use gantry_api::{Kind, Object, convert};

use super::Target;
use crate::cache::{Attributes, Entry};
use crate::status::ApiError;

/// What a request is about, in the version whose rules hold.
pub(super) fn ruled(target: &Target) -> Cow<'_, Target> {
    let kind = convert::ruling_kind(target.kind);
    if kind == target.kind { Cow::Borrowed(target) } else { Cow::Owned(Target { kind, ..target.clone() }) }
}

/// A client's object in that version, after the defaults of its own.
pub(super) fn ruled_object(
    kind: &'static Kind,
    mut object: Box<dyn Object>,
) -> Result<Box<dyn Object>, ApiError> {
    if object.kind() == kind {
        return Ok(object);
    }
    object.strategy_mut().set_defaults();
    converted(&*object, kind)
}

/// An object as another version.
pub(super) fn converted(object: &dyn Object, kind: &'static Kind) -> Result<Box<dyn Object>, ApiError> {
    let strange = || {
        let (from, to) = (object.kind(), kind);
        ApiError::internal(format_args!("{} is no {} of {}", from.message, to.kind, to.api_version()))
    };
    convert::convert(object, kind).ok_or_else(strange)
}

/// The outcome of a write in the client's version.
pub(super) fn served(kind: &'static Kind, entry: Arc<Entry>) -> Result<Arc<Entry>, ApiError> {
    if entry.kind() == kind {
        return Ok(entry);
    }
    entry.readable()?;
    let object = entry.kind().decode(Bytes::copy_from_slice(entry.raw())).map_err(ApiError::internal)?;
    let object = converted(&*object, kind)?;
    let (key, attributes) = (entry.key().clone(), Attributes::of(&*object));
    Ok(Arc::new(Entry::new(kind, key, entry.revision(), &object.encode(), attributes)))
}
