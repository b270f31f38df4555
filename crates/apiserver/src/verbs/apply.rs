//! Apply: the fields of a configuration become those of an object, and its writer's.

use std::sync::Arc;

use gantry_api::apply::{self, Applied};
use gantry_api::autoscaling::v1::Scale;
use gantry_api::meta::v1::{CreateOptions, PatchOptions};
use gantry_api::{Kind, Object, Subresource};
use serde_json::Value;

use super::modify::Next;
use super::ownership::{Ownership, refused, writer};
use super::patch::update_options;
use super::update::{PUT_ATTEMPTS, check_name, check_subresource, draft, succeed};
use super::{Target, Verbs, options, versions};
use crate::admission::Operation;
use crate::cache::Entry;
use crate::status::{ApiError, Reason};

impl Verbs {
    /// Applies a configuration to an object, or to its `status`, or makes the object of it where there is none. Says
    /// whether it was created; `may_create` is asked before.
    pub async fn apply(
        &self,
        target: &Target,
        subresource: Option<Subresource>,
        config: &Value,
        options: &PatchOptions,
        may_create: impl Fn() -> Result<(), ApiError> + Send,
    ) -> Result<(Arc<Entry>, bool), ApiError> {
        check_subresource(target.kind, subresource)?;
        let dry_run = options::of_apply(options)?;
        let force = options.force.unwrap_or(false);
        let writer = writer(&options.field_manager, subresource);
        let update = update_options(options);
        let create = CreateOptions {
            dry_run: options.dry_run.clone(),
            field_manager: options.field_manager.clone(),
            field_validation: options.field_validation.clone(),
        };
        let ruled = versions::ruled(target);
        for _ in 0..PUT_ATTEMPTS {
            let asked =
                self.asked(Operation::Update, target, subresource, dry_run, ("UpdateOptions", &update))?;
            let propose = |old: &dyn Object| {
                let seen = if old.kind() == target.kind {
                    None
                } else {
                    Some(versions::converted(old, target.kind)?)
                };
                let live = seen.as_deref().unwrap_or(old);
                let applied = apply::apply(target.kind, Some(live), config, &writer, force);
                let new = versions::ruled_object(ruled.kind, object_of(target, applied.map_err(refused)?)?)?;
                draft(new, old, Ownership::Settled).map(Next::Put)
            };
            let finish = |new: Box<dyn Object>, old: &dyn Object| succeed(subresource, new, old);
            let outcome = self.modify_asked(&ruled, dry_run, asked.as_ref(), propose, finish).await;
            let missing = match outcome {
                Ok(outcome) => {
                    self.warn_of_change(subresource, &outcome.entry).await?;
                    return Ok((versions::served(target.kind, outcome.entry)?, false));
                }
                Err(error) if error.reason() == Reason::NotFound => error,
                Err(error) => return Err(error),
            };
            let applied = apply::apply(target.kind, None, config, &writer, force).map_err(refused)?;
            let mut new = object_of(target, applied)?;
            if subresource.is_some() {
                return Err(missing);
            }
            if !new.meta().uid.is_empty() {
                let uid = &new.meta().uid;
                let detail = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(ApiError::conflict(target.kind, &target.name, &detail));
            }
            may_create()?;
            new.meta_mut().resource_version.clear();
            match self.create_as(target, new, &create, dry_run, Ownership::Settled).await {
                // Somebody else was faster.
                Err(error) if error.reason() == Reason::AlreadyExists => {}
                outcome => return outcome.map(|entry| (entry, true)),
            }
        }
        Err(ApiError::modified(target.kind, &target.name))
    }

    /// Applies a configuration to the `scale` of an object.
    pub async fn apply_scale(
        &self,
        target: &Target,
        config: &Value,
        options: &PatchOptions,
    ) -> Result<Scale, ApiError> {
        let dry_run = options::of_apply(options)?;
        let force = options.force.unwrap_or(false);
        let writer = writer(&options.field_manager, Some(Subresource::Scale));
        self.rescale(target, dry_run, &update_options(options), |old, scale| {
            let live = serde_json::to_value(scale).map_err(ApiError::internal)?;
            let entries = &old.meta().managed_fields;
            let applied = apply::apply_scale(target.kind, entries, live, config, &writer, force);
            let Applied { value, managed_fields } = applied.map_err(refused)?;
            let scale = serde_json::from_value(value)
                .map_err(|error| ApiError::without_reason(not_converted(target.kind, &error.to_string())))?;
            Ok((scale, managed_fields))
        })
        .await
    }
}

/// The object that comes of an apply, at its place.
fn object_of(target: &Target, applied: Applied) -> Result<Box<dyn Object>, ApiError> {
    let Target { kind, namespace, name } = target;
    let mut object = kind.decode_value(applied.value).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        ApiError::without_reason(not_converted(kind, &format!("{error}{cause}")))
    })?;
    let meta = object.meta_mut();
    meta.managed_fields = applied.managed_fields;
    if meta.namespace.is_empty() {
        meta.namespace.clone_from(namespace);
    }
    if meta.namespace != *namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    check_name(name, meta)?;
    Ok(object)
}

fn not_converted(kind: &Kind, why: &str) -> String {
    format!("failed to convert new object to {}, Kind={}: {why}", kind.api_version(), kind.kind)
}
