//! Update: of an object or of its status, as a whole.

use std::sync::Arc;

use gantry_api::field::{Error, Path};
use gantry_api::meta::v1::{CreateOptions, ObjectMeta, UpdateOptions};
use gantry_api::{Kind, Object, Subresource, validation};

use super::create::check_kind;
use super::modify::Next;
use super::ownership::{Ownership, keep_times, writer};
use super::{Target, Verbs, finalize, options, pods, versions};
use crate::admission::{self, Operation};
use crate::cache::Entry;
use crate::certificates;
use crate::status::{ApiError, Reason};

/// How often an update that creates is tried while others create and delete the same object.
pub(super) const PUT_ATTEMPTS: usize = 8;

impl Verbs {
    /// Replaces an object as [`Verbs::update`] does, or creates it where there is none and its kind is one that updates
    /// create. Says whether it was created; `may_create` is asked before.
    pub async fn put(
        &self,
        target: &Target,
        subresource: Option<Subresource>,
        object: Box<dyn Object>,
        options: &UpdateOptions,
        may_create: impl Fn() -> Result<(), ApiError> + Send,
    ) -> Result<(Arc<Entry>, bool), ApiError> {
        if subresource.is_some() || !target.kind.created_by_update {
            return Ok((self.update(target, subresource, object, options).await?, false));
        }
        let create = CreateOptions {
            dry_run: options.dry_run.clone(),
            field_manager: options.field_manager.clone(),
            field_validation: options.field_validation.clone(),
        };
        for _ in 0..PUT_ATTEMPTS {
            match self.update(target, None, object.clone_object(), options).await {
                Err(error) if error.reason() == Reason::NotFound => {}
                outcome => return outcome.map(|entry| (entry, false)),
            }
            may_create()?;
            // Who names a uid means an object that is gone; a revision alone does not keep it from coming back.
            check_uid(target.kind, &object.meta().uid, &target.name, "")?;
            let mut new = object.clone_object();
            new.meta_mut().resource_version.clear();
            match self.create(target, new, &create).await {
                Err(error) if error.reason() == Reason::AlreadyExists => {}
                outcome => return outcome.map(|entry| (entry, true)),
            }
        }
        Err(ApiError::modified(target.kind, &target.name))
    }

    /// Replaces an object, or its `status`, or a namespace's finalizers.
    pub async fn update(
        &self,
        target: &Target,
        subresource: Option<Subresource>,
        object: Box<dyn Object>,
        options: &UpdateOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        check_kind(target.kind, &*object)?;
        check_subresource(target.kind, subresource)?;
        let ruled = versions::ruled(target);
        let mut object = versions::ruled_object(ruled.kind, object)?;
        check_place(target, object.meta())?;
        object.meta_mut().namespace.clone_from(&target.namespace);
        let dry_run = options::of_write("UpdateOptions", &options.field_manager, &options.dry_run)?;
        let writer = writer(&options.field_manager, subresource);
        let asked =
            self.asked(Operation::Update, target, subresource, dry_run, ("UpdateOptions", options))?;
        let propose = |old: &dyn Object| {
            check_unconditional(target, &*object)?;
            let new = object.clone_object();
            check_revision(target.kind, new.meta(), old.meta())?;
            draft(new, old, Ownership::TakenBy(&writer, target.kind)).map(Next::Put)
        };
        let finish = |new: Box<dyn Object>, old: &dyn Object| succeed(subresource, new, old);
        let outcome = self.modify_asked(&ruled, dry_run, asked.as_ref(), propose, finish).await?;
        self.warn_of_change(subresource, &outcome.entry).await?;
        versions::served(target.kind, outcome.entry)
    }
}

/// Whether the subresource is one that an object is written through.
pub(super) fn check_subresource(kind: &Kind, subresource: Option<Subresource>) -> Result<(), ApiError> {
    match subresource {
        None => Ok(()),
        Some(
            one @ (Subresource::Status
            | Subresource::Finalize
            | Subresource::EphemeralContainers
            | Subresource::Resize
            | Subresource::Approval),
        ) if kind.has(one) => Ok(()),
        Some(one) => Err(ApiError::method_not_allowed(kind, &format!("update of {}", one.name()))),
    }
}

/// The object says its name, which is that of the path.
pub(super) fn check_name(name: &str, meta: &ObjectMeta) -> Result<(), ApiError> {
    if meta.name.is_empty() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if meta.name != name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            meta.name
        )));
    }
    Ok(())
}

/// The object says its name, and no other place than the path.
fn check_place(target: &Target, meta: &ObjectMeta) -> Result<(), ApiError> {
    let namespace = &target.namespace;
    check_name(&target.name, meta)?;
    if target.kind.namespaced() && !meta.namespace.is_empty() && meta.namespace != *namespace {
        return Err(ApiError::bad_request(format!(
            "the namespace of the object ({}) does not match the namespace on the request ({namespace})",
            meta.namespace
        )));
    }
    Ok(())
}

/// Some kinds are changed only by those who have seen what they change.
fn check_unconditional(target: &Target, object: &dyn Object) -> Result<(), ApiError> {
    if target.kind.unconditional_update || !object.meta().resource_version.is_empty() {
        return Ok(());
    }
    let path = Path::new("metadata").child("resourceVersion");
    let error = Error::invalid(path, 0, "must be specified for an update");
    Err(ApiError::invalid(target.kind, &target.name, &vec![error]))
}

/// A client that names a revision or a uid means that object and no other.
fn check_revision(kind: &Kind, new: &ObjectMeta, old: &ObjectMeta) -> Result<(), ApiError> {
    check_uid(kind, &new.uid, &old.name, &old.uid)?;
    if !new.resource_version.is_empty() && new.resource_version != old.resource_version {
        return Err(ApiError::modified(kind, &old.name));
    }
    Ok(())
}

fn check_uid(kind: &Kind, wanted: &str, name: &str, found: &str) -> Result<(), ApiError> {
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let detail = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
    Err(ApiError::conflict(kind, name, &detail))
}

/// What a client wants of an object, with defaults and owners: the common begin of update, patch and apply.
pub(super) fn draft(
    mut new: Box<dyn Object>,
    old: &dyn Object,
    ownership: Ownership<'_>,
) -> Result<Box<dyn Object>, ApiError> {
    check_revision(old.kind(), new.meta(), old.meta())?;
    new.strategy_mut().set_defaults();
    keep_what_the_server_says(new.meta_mut(), old.meta());
    ownership.settle(Some(old), &mut *new)?;
    Ok(new)
}

/// From a draft, which webhooks may have changed, to what comes next: the common end of update, patch and apply.
pub(super) fn succeed(
    subresource: Option<Subresource>,
    mut new: Box<dyn Object>,
    old: &dyn Object,
) -> Result<Box<dyn Object>, ApiError> {
    let kind = old.kind();
    check_revision(kind, new.meta(), old.meta())?;
    keep_what_the_server_says(new.meta_mut(), old.meta());
    match subresource {
        Some(Subresource::Status) => {
            new.strategy_mut().prepare_for_status_update(old);
            keep_metadata_of_status(kind, new.meta_mut(), old.meta());
            certificates::stamp(&mut *new, old);
        }
        Some(Subresource::Approval) => {
            let mut next = old.clone_object();
            certificates::copy_conditions(&mut *next, &*new);
            certificates::stamp(&mut *next, old);
            next.meta_mut().managed_fields = std::mem::take(&mut new.meta_mut().managed_fields);
            new = next;
        }
        Some(Subresource::Finalize) => {
            let mut next = old.clone_object();
            finalize::copy_finalizers(&mut *next, &*new);
            next.meta_mut().managed_fields = std::mem::take(&mut new.meta_mut().managed_fields);
            new = next;
        }
        Some(part @ (Subresource::EphemeralContainers | Subresource::Resize)) => {
            let mut next = old.clone_object();
            match part {
                Subresource::Resize => pods::copy_resources(&mut *next, &*new),
                _ => pods::copy_ephemeral_containers(&mut *next, &*new),
            }
            next.meta_mut().managed_fields = std::mem::take(&mut new.meta_mut().managed_fields);
            if !next.spec_equals(old) {
                next.meta_mut().generation += 1;
            }
            new = next;
        }
        _ => {
            new.strategy_mut().prepare_for_update(old);
            admission::on_update(&mut *new, old);
            if kind.generation && !new.spec_equals(old) {
                new.meta_mut().generation += 1;
            }
        }
    }
    admission::may_update(subresource, &*new, old)?;
    let mut errors = validation::meta::object_meta_update(kind, new.meta(), old.meta());
    errors.extend(match subresource {
        Some(Subresource::Status) => {
            let mut errors = new.strategy().validate_status_update(old);
            errors.extend(certificates::check_certificate(&*new, old));
            errors
        }
        Some(Subresource::EphemeralContainers) => pods::validate_ephemeral_containers(&*new, old),
        Some(Subresource::Resize) => pods::validate_resize(&*new, old),
        Some(Subresource::Approval) => certificates::check_approval(&*new, old),
        Some(_) => Vec::new(),
        None => new.strategy().validate_update(old),
    });
    if !errors.is_empty() {
        return Err(ApiError::invalid(kind, &old.meta().name, &errors));
    }
    keep_times(&mut *new, old);
    Ok(new)
}

/// What a client cannot change, whatever it sends.
fn keep_what_the_server_says(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.uid.clone_from(&old.uid);
    new.creation_timestamp = old.creation_timestamp;
    new.deletion_timestamp = old.deletion_timestamp;
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.generation = old.generation;
    new.generate_name.clone_from(&old.generate_name);
}

/// A writer of the status does not change the metadata, save labels and annotations of what kubelets report.
fn keep_metadata_of_status(kind: &Kind, new: &mut ObjectMeta, old: &ObjectMeta) {
    let kept = old.clone();
    let written = std::mem::replace(new, kept);
    if matches!(kind.kind, "Pod" | "Node") {
        new.labels = written.labels;
        new.annotations = written.annotations;
    }
    new.managed_fields = written.managed_fields;
}
