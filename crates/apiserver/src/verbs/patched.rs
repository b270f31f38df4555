//! From an object and a patch to the object that the patch asks for.
//!
//! Most patches name one field at the top of an object, its `status` say. Only what they name becomes JSON and comes back
//! from it; the rest stays as it is encoded.

use gantry_api::custom::CustomObject;
use gantry_api::partial::Part;
use gantry_api::{Kind, Object, schema};
use serde_json::Value;

use crate::patch::Patch;
use crate::status::ApiError;

/// The object that comes of the patch.
pub(super) fn patched(patch: &Patch, old: &dyn Object, strict: bool) -> Result<Box<dyn Object>, ApiError> {
    let kind = old.kind();
    let tops = patch.tops();
    let part = tops.as_deref().and_then(|tops| Part::of(old, tops));
    let seen = part.as_ref().map_or(old, Part::object);
    let value = patched_value(patch, seen)?;
    if strict && kind.is_custom() {
        check_custom(kind, &value)?;
    } else if strict {
        check(kind, &value)?;
    }
    let new = match kind.decode_value(value) {
        Ok(new) => new,
        Err(error) => return Err(misfit(kind, &old.meta().name, &patched_value(patch, seen)?, &error)),
    };
    let Some(part) = part else { return Ok(new) };
    part.replace(&*new).ok_or_else(|| ApiError::internal("the patched fields do not fit the object"))
}

/// What comes of the patch as JSON.
fn patched_value(patch: &Patch, old: &dyn Object) -> Result<Value, ApiError> {
    let kind = old.kind();
    let mut value = if patch.names_owners() {
        old.to_value()
    } else {
        let mut bare = old.clone_object();
        bare.meta_mut().managed_fields.clear();
        bare.to_value()
    }
    .map_err(ApiError::internal)?;
    let (api_version, kind_name) = (Value::from(kind.api_version()), Value::from(kind.kind));
    if let Value::Object(fields) = &mut value {
        fields.insert("apiVersion".to_owned(), api_version.clone());
        fields.insert("kind".to_owned(), kind_name.clone());
    }
    let mut value = patch.apply(value, kind)?;
    // An empty list of owners takes them away, which an absent one does not.
    if let Some(owners) = value.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut)
        && owners.is_empty()
    {
        owners.push(Value::Object(serde_json::Map::new()));
    }
    if value.get("apiVersion") != Some(&api_version) || value.get("kind") != Some(&kind_name) {
        return Err(ApiError::bad_request(format!(
            "the patch changes apiVersion or kind, which must stay {api_version} and {kind_name}"
        )));
    }
    Ok(value)
}

/// Why the object that came of a patch is none of its kind.
fn misfit(kind: &Kind, name: &str, value: &Value, error: &gantry_api::DecodeError) -> ApiError {
    match serde_json::to_vec(value).map(|text| schema::check::json(kind.message, &text)) {
        Ok(Ok(report)) if !report.types.is_empty() => ApiError::invalid(kind, name, &report.types),
        _ => {
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            ApiError::bad_request(format!("the patched object is not valid: {error}{cause}"))
        }
    }
}

/// No field of a custom resource may be there that its schema does not have.
fn check_custom(kind: &'static Kind, value: &Value) -> Result<(), ApiError> {
    // What cannot be read is told when it is read.
    let unknown = CustomObject::read(kind, value.clone()).map(|(_, unknown)| unknown).unwrap_or_default();
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    Err(ApiError::bad_request(format!("strict decoding error: {}", unknown.join(", "))))
}

/// No field may be there that the kind does not have.
fn check(kind: &Kind, value: &Value) -> Result<(), ApiError> {
    let text = serde_json::to_vec(value).map_err(ApiError::internal)?;
    let report = schema::check::json(kind.message, &text).map_err(ApiError::internal)?;
    if report.strict.is_empty() {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("strict decoding error: {}", report.strict.join(", "))))
}
