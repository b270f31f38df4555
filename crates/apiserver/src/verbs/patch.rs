//! Patch: what is stored, changed by a document.

use std::sync::Arc;

use bytes::Bytes;
use gantry_api::custom::CustomObject;
use gantry_api::meta::v1::{PatchOptions, UpdateOptions};
use gantry_api::{Kind, Object, Subresource, schema};
use serde_json::Value;

use super::modify::Next;
use super::ownership::{Ownership, writer};
use super::update::{check_subresource, draft, succeed};
use super::{PatchType, Target, Verbs, options, versions};
use crate::admission::Operation;
use crate::cache::Entry;
use crate::patch::Patch;
use crate::status::ApiError;

impl Verbs {
    /// Changes an object, or its `status`, by a patch, which is JSON. A patch that names no revision is applied again
    /// when somebody else has changed the object meanwhile.
    pub async fn patch(
        &self,
        target: &Target,
        subresource: Option<Subresource>,
        patch_type: PatchType,
        patch: Bytes,
        options: &PatchOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        check_subresource(target.kind, subresource)?;
        let dry_run = options::of_patch(options)?;
        let writer = writer(&options.field_manager, subresource);
        let patch = Patch::parse(patch_type, &patch)?;
        let ruled = versions::ruled(target);
        let update = update_options(options);
        let asked =
            self.asked(Operation::Update, target, subresource, dry_run, ("UpdateOptions", &update))?;
        let propose = |old: &dyn Object| {
            let seen =
                if old.kind() == target.kind { None } else { Some(versions::converted(old, target.kind)?) };
            let new = apply(&patch, seen.as_deref().unwrap_or(old), options.field_validation == "Strict")?;
            same_place(target, &*new)?;
            let new = versions::ruled_object(ruled.kind, new)?;
            draft(new, old, Ownership::TakenBy(&writer, target.kind)).map(Next::Put)
        };
        let finish = |new: Box<dyn Object>, old: &dyn Object| succeed(subresource, new, old);
        let outcome = self.modify_asked(&ruled, dry_run, asked.as_ref(), propose, finish).await?;
        versions::served(target.kind, outcome.entry)
    }
}

/// The options of the update that a patch is in the end: whoever admits it is told those.
pub(super) fn update_options(options: &PatchOptions) -> UpdateOptions {
    UpdateOptions {
        dry_run: options.dry_run.clone(),
        field_manager: options.field_manager.clone(),
        field_validation: options.field_validation.clone(),
    }
}

/// The object that comes of the patch.
fn apply(patch: &Patch, old: &dyn Object, strict: bool) -> Result<Box<dyn Object>, ApiError> {
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
    if strict && kind.is_custom() {
        check_custom(kind, &value)?;
    } else if strict {
        check(kind, &value)?;
    }
    let text = serde_json::to_vec(&value).map_err(ApiError::internal)?;
    kind.decode_value(value).map_err(|error| misfit(kind, &old.meta().name, &text, &error))
}

/// Why the object that came of a patch is none of its kind.
fn misfit(kind: &Kind, name: &str, text: &[u8], error: &gantry_api::DecodeError) -> ApiError {
    match schema::check::json(kind.message, text) {
        Ok(report) if !report.types.is_empty() => ApiError::invalid(kind, name, &report.types),
        _ => {
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            ApiError::bad_request(format!("the patched object is not valid: {error}{cause}"))
        }
    }
}

/// The same of a custom resource, whose schema is its own.
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

fn same_place(target: &Target, new: &dyn Object) -> Result<(), ApiError> {
    if new.meta().name == target.name && new.meta().namespace == target.namespace {
        return Ok(());
    }
    Err(ApiError::bad_request("the patch changes metadata.name or metadata.namespace, which must stay"))
}
