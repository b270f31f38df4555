//! Patch: what is stored, changed by a document.

use std::sync::Arc;

use bytes::Bytes;
use gantry_api::meta::v1::{PatchOptions, UpdateOptions};
use gantry_api::{Object, Subresource};

use super::modify::Next;
use super::ownership::{Ownership, writer};
use super::patched::patched;
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
            let new = patched(&patch, seen.as_deref().unwrap_or(old), options.field_validation == "Strict")?;
            same_place(target, &*new)?;
            let new = versions::ruled_object(ruled.kind, new)?;
            draft(new, old, Ownership::TakenBy(&writer, target.kind)).map(Next::Put)
        };
        let finish = |new: Box<dyn Object>, old: &dyn Object| succeed(subresource, new, old);
        let outcome = self.modify_asked(&ruled, dry_run, asked.as_ref(), propose, finish).await?;
        self.warn_of_change(subresource, &outcome.entry).await?;
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

fn same_place(target: &Target, new: &dyn Object) -> Result<(), ApiError> {
    if new.meta().name == target.name && new.meta().namespace == target.namespace {
        return Ok(());
    }
    Err(ApiError::bad_request("the patch changes metadata.name or metadata.namespace, which must stay"))
}
