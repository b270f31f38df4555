//! The `scale` subresource: the number of replicas, whatever the kind.

use bytes::Bytes;
use gantry_api::apply::{self, Writer};
use gantry_api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use gantry_api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use gantry_api::core::v1::ReplicationController;
use gantry_api::custom::ScaleError;
use gantry_api::field::{Error, Path};
use gantry_api::meta::v1::{GetOptions, ManagedFieldsEntry, ObjectMeta, PatchOptions, UpdateOptions};
use gantry_api::selector::LabelSelector;
use gantry_api::{Kind, Object, Subresource};

use super::modify::Next;
use super::ownership::{Ownership, refused, writer};
use super::patch::update_options;
use super::update::{draft, succeed};
use super::{PatchType, Target, Verbs, options};
use crate::admission::Operation;
use crate::admission::asked::SCALE;
use crate::patch::Patch;
use crate::status::{ApiError, Reason};

const SUB: Option<Subresource> = Some(Subresource::Scale);
/// How often a scale is tried while others change the same object.
const ATTEMPTS: usize = 8;

impl Verbs {
    /// The `scale` of an object.
    pub async fn get_scale(&self, target: &Target, options: &GetOptions) -> Result<Scale, ApiError> {
        let entry = self.get(target, options).await?;
        scale_of(&*entry.object()?)
    }

    /// Replaces the `scale` of an object.
    pub async fn update_scale(
        &self,
        target: &Target,
        scale: Scale,
        options: &UpdateOptions,
    ) -> Result<Scale, ApiError> {
        let dry_run = options::of_write("UpdateOptions", &options.field_manager, &options.dry_run)?;
        let writer = writer(&options.field_manager, SUB);
        self.rescale(target, dry_run, options, |old, before| {
            let owners = owners_after(old, &before, &scale, &writer)?;
            Ok((scale.clone(), owners))
        })
        .await
    }

    /// Changes the `scale` of an object by a patch.
    pub async fn patch_scale(
        &self,
        target: &Target,
        patch_type: PatchType,
        patch: Bytes,
        options: &PatchOptions,
    ) -> Result<Scale, ApiError> {
        let dry_run = options::of_patch(options)?;
        let writer = writer(&options.field_manager, SUB);
        let patch = Patch::parse(patch_type, &patch)?;
        self.rescale(target, dry_run, &update_options(options), |old, before| {
            let value = serde_json::to_value(&before).map_err(ApiError::internal)?;
            let patched = patch.apply_to_message(value, "k8s.io.api.autoscaling.v1.Scale")?;
            let scale = serde_json::from_value(patched)
                .map_err(|error| ApiError::bad_request(format!("the patched Scale is not valid: {error}")))?;
            let owners = owners_after(old, &before, &scale, &writer)?;
            Ok((scale, owners))
        })
        .await
    }

    /// Changes the scale of an object; `change` is given the object and its scale, and says the next scale and the
    /// object's owners. Webhooks are asked about the new scale where there are any: about one of the present object, so
    /// that it is found out once more where somebody else changes the object meanwhile.
    pub(super) async fn rescale(
        &self,
        target: &Target,
        dry_run: bool,
        options: &UpdateOptions,
        mut change: impl FnMut(&dyn Object, Scale) -> Result<(Scale, Vec<ManagedFieldsEntry>), ApiError> + Send,
    ) -> Result<Scale, ApiError> {
        let asked = self.asked(Operation::Update, target, SUB, dry_run, ("UpdateOptions", options))?;
        let Some(asked) = asked.map(|asked| asked.with_shape(SCALE)) else {
            return self.rescale_unasked(target, dry_run, change).await;
        };
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let entry = self.get(target, &GetOptions::default()).await?;
            let object = entry.object()?;
            let old = scale_of(&*object)?;
            let (wanted, owners) = change(&*object, old.clone())?;
            let new = self.mutate_message(&asked, wanted, Some(&old)).await?;
            self.check_message(&asked, &new, Some(&old)).await?;
            let mut pinned = new;
            let seen = old.metadata.unwrap_or_default();
            let meta = pinned.metadata.get_or_insert_default();
            let named = !meta.resource_version.is_empty() && meta.resource_version != seen.resource_version;
            if !named {
                meta.resource_version = seen.resource_version;
            }
            let again = |_: &dyn Object, _| Ok((pinned.clone(), owners.clone()));
            match self.rescale_unasked(target, dry_run, again).await {
                Err(error) if error.reason() == Reason::Conflict && !named && left > 0 => {}
                outcome => return outcome,
            }
        }
    }

    async fn rescale_unasked(
        &self,
        target: &Target,
        dry_run: bool,
        mut change: impl FnMut(&dyn Object, Scale) -> Result<(Scale, Vec<ManagedFieldsEntry>), ApiError> + Send,
    ) -> Result<Scale, ApiError> {
        let outcome = self
            .modify(target, dry_run, |old| {
                let (scale, owners) = change(old, scale_of(old)?)?;
                let replicas = replicas_of(&scale);
                if replicas < 0 {
                    let path = Path::new("spec").child("replicas");
                    let error = Error::invalid(path, replicas, "must be greater than or equal to 0");
                    return Err(ApiError::invalid(target.kind, &target.name, &vec![error]));
                }
                let mut new = old.clone_object();
                set_replicas(&mut *new, replicas)?;
                let meta = scale.metadata.unwrap_or_default();
                new.meta_mut().uid = meta.uid;
                new.meta_mut().resource_version = meta.resource_version;
                new.meta_mut().managed_fields = owners;
                succeed(None, draft(new, old, Ownership::Settled)?, old).map(Next::Put)
            })
            .await?;
        scale_of(&*outcome.entry.object()?)
    }
}

fn replicas_of(scale: &Scale) -> i32 {
    scale.spec.as_ref().map_or(0, |spec| spec.replicas)
}

/// The owners of an object whose scale becomes another one.
fn owners_after(
    object: &dyn Object,
    before: &Scale,
    after: &Scale,
    writer: &Writer,
) -> Result<Vec<ManagedFieldsEntry>, ApiError> {
    let entries = &object.meta().managed_fields;
    if replicas_of(before) == replicas_of(after) {
        return Ok(entries.clone());
    }
    apply::record_scale(object.kind(), entries, writer).map_err(refused)
}

fn scale_of(object: &dyn Object) -> Result<Scale, ApiError> {
    let parts = if let Some(one) = object.downcast_ref::<Deployment>() {
        let spec = one.spec.as_ref();
        let status = one.status.as_ref().map(|status| status.replicas);
        (spec.and_then(|spec| spec.replicas), status, spec.map(|spec| spec.selector.as_ref()))
    } else if let Some(one) = object.downcast_ref::<ReplicaSet>() {
        let spec = one.spec.as_ref();
        let status = one.status.as_ref().map(|status| status.replicas);
        (spec.and_then(|spec| spec.replicas), status, spec.map(|spec| spec.selector.as_ref()))
    } else if let Some(one) = object.downcast_ref::<StatefulSet>() {
        let spec = one.spec.as_ref();
        let status = one.status.as_ref().map(|status| status.replicas);
        (spec.and_then(|spec| spec.replicas), status, spec.map(|spec| spec.selector.as_ref()))
    } else if let Some(one) = object.downcast_ref::<ReplicationController>() {
        let spec = one.spec.as_ref();
        let selector = spec.map(|spec| LabelSelector::from_map(&spec.selector).to_string());
        let status = one.status.as_ref().map(|status| status.replicas);
        return Ok(scale(
            object.meta(),
            spec.and_then(|spec| spec.replicas),
            status,
            selector.unwrap_or_default(),
        ));
    } else if let Some(one) = object.as_custom() {
        return one.scale().map_err(|error| no_custom_scale(object.kind(), &error));
    } else {
        return Err(no_scale(object.kind()));
    };
    let (replicas, status, selector) = parts;
    let selector = LabelSelector::from_meta(selector.flatten());
    let selector = selector.map_err(|error| ApiError::internal(format_args!("spec.selector: {error}")))?;
    Ok(scale(object.meta(), replicas, status, selector.to_string()))
}

fn scale(meta: &ObjectMeta, replicas: Option<i32>, status: Option<i32>, selector: String) -> Scale {
    Scale {
        metadata: Some(ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            creation_timestamp: meta.creation_timestamp,
            ..ObjectMeta::default()
        }),
        spec: Some(ScaleSpec { replicas: replicas.unwrap_or(1) }),
        status: Some(ScaleStatus { replicas: status.unwrap_or(0), selector }),
    }
}

fn set_replicas(object: &mut dyn Object, replicas: i32) -> Result<(), ApiError> {
    if let Some(one) = object.downcast_mut::<Deployment>() {
        one.spec.get_or_insert_default().replicas = Some(replicas);
    } else if let Some(one) = object.downcast_mut::<ReplicaSet>() {
        one.spec.get_or_insert_default().replicas = Some(replicas);
    } else if let Some(one) = object.downcast_mut::<StatefulSet>() {
        one.spec.get_or_insert_default().replicas = Some(replicas);
    } else if let Some(one) = object.downcast_mut::<ReplicationController>() {
        one.spec.get_or_insert_default().replicas = Some(replicas);
    } else if object.as_custom().is_some() {
        let kind = object.kind();
        let set = object.as_custom_mut().map_or(Ok(()), |one| one.set_replicas(replicas));
        set.map_err(|error| no_custom_scale(kind, &error))?;
    } else {
        return Err(no_scale(object.kind()));
    }
    Ok(())
}

fn no_custom_scale(kind: &Kind, error: &ScaleError) -> ApiError {
    match error {
        ScaleError::NotServed => no_scale(kind),
        error => ApiError::internal(error),
    }
}

fn no_scale(kind: &Kind) -> ApiError {
    ApiError::method_not_allowed(kind, "scale")
}
