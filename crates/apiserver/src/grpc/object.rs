//! Objects as they travel: in `Any`, by the message's type URL.

use gantry_api::grpc::api;
use gantry_api::{Kind, Object};
use prost::{Message, Name};
use prost_types::Any;

use crate::cache::Entry;
use crate::status::ApiError;
use crate::verbs::List;

/// The object of a request, which must be of `kind`.
pub(super) fn decode(kind: &'static Kind, object: Option<Any>) -> Result<Box<dyn Object>, ApiError> {
    let object = of_message(kind.wire_message(), object)?;
    kind.decode(object.value.into()).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        ApiError::bad_request(format!("{error}{cause}"))
    })
}

/// The message of a request that is no object of a kind, such as a Scale.
pub(super) fn decode_as<T: Message + Default + Name>(object: Option<Any>) -> Result<T, ApiError> {
    let message = T::full_name();
    let object = of_message(&message, object)?;
    T::decode(object.value.as_slice())
        .map_err(|error| ApiError::bad_request(format!("the object is not a valid {message}: {error}")))
}

fn of_message(message: &str, object: Option<Any>) -> Result<Any, ApiError> {
    let object = object.ok_or_else(|| ApiError::bad_request("object is required"))?;
    let given = object.type_url.rsplit('/').next().unwrap_or_default();
    if given != message {
        return Err(ApiError::bad_request(format!(
            "the object is a {given:?}, but this resource takes a {message:?}"
        )));
    }
    Ok(object)
}

/// An answer that is an object of a kind.
pub(super) fn reply(entry: &Entry) -> api::Object {
    let value = entry.bytes().to_vec();
    api::Object { object: Some(Any { type_url: entry.kind().type_url(), value }) }
}

/// An answer that is some other message.
pub(super) fn reply_as<T: Message + Name>(value: &T) -> api::Object {
    let type_url = format!("type.googleapis.com/{}", T::full_name());
    api::Object { object: Some(Any { type_url, value: value.encode_to_vec() }) }
}

/// An answer that is a list: the items are those bytes that are stored, shared and not copied.
pub(super) fn list(kind: &Kind, list: List) -> api::ListResponse {
    api::ListResponse {
        metadata: Some(list.metadata),
        type_url: kind.type_url(),
        items: list.items.iter().map(|entry| entry.bytes()).collect(),
    }
}
