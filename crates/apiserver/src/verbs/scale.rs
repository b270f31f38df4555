//! The `scale` subresource: the number of replicas, whatever the kind.

use bytes::Bytes;
use gantry_api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use gantry_api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use gantry_api::core::v1::ReplicationController;
use gantry_api::custom::ScaleError;
use gantry_api::field::{Error, Path};
use gantry_api::meta::v1::{GetOptions, ObjectMeta, PatchOptions, UpdateOptions};
use gantry_api::selector::LabelSelector;
use gantry_api::{Kind, Object};

use super::update::succeed;
use super::{PatchType, Target, Verbs, options};
use crate::patch::Patch;
use crate::status::ApiError;

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
        let dry_run = options::dry_run("UpdateOptions", &options.dry_run)?;
        self.rescale(target, dry_run, |_| Ok(scale.clone())).await
    }

    /// Changes the `scale` of an object by a patch.
    pub async fn patch_scale(
        &self,
        target: &Target,
        patch_type: PatchType,
        patch: Bytes,
        options: &PatchOptions,
    ) -> Result<Scale, ApiError> {
        let dry_run = options::dry_run("PatchOptions", &options.dry_run)?;
        let patch = Patch::parse(patch_type, &patch)?;
        self.rescale(target, dry_run, |old| {
            let value = serde_json::to_value(old).map_err(ApiError::internal)?;
            let patched = patch.apply_to_message(value, "k8s.io.api.autoscaling.v1.Scale")?;
            serde_json::from_value(patched)
                .map_err(|error| ApiError::bad_request(format!("the patched Scale is not valid: {error}")))
        })
        .await
    }

    async fn rescale(
        &self,
        target: &Target,
        dry_run: bool,
        mut change: impl FnMut(Scale) -> Result<Scale, ApiError> + Send,
    ) -> Result<Scale, ApiError> {
        let outcome = self
            .modify(target, dry_run, |old| {
                let scale = change(scale_of(old)?)?;
                let replicas = scale.spec.as_ref().map_or(0, |spec| spec.replicas);
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
                succeed(None, new, old)
            })
            .await?;
        scale_of(&*outcome.entry.object()?)
    }
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
