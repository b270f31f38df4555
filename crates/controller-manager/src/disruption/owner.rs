//! How many pods a pod's controller wants.

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use gantry_api::autoscaling::v1::Scale;
use gantry_api::core::v1::ReplicationController;
use gantry_api::meta::v1::OwnerReference;
use gantry_api::{Kind, Subresource, registry};
use gantry_client::controller_of;

use crate::Context;

/// A pod's controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// It wants so many pods, or its own controller does.
    Scale {
        /// Whose number it is.
        uid: String,
        /// How many.
        replicas: i32,
    },
    /// It is not there.
    Missing,
    /// Its number cannot be told, and why.
    Unknown(String),
}

/// Finds a pod's controller.
pub(super) async fn find(context: &Context, namespace: &str, reference: &OwnerReference) -> Owner {
    let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, reference.kind.as_str()) {
        ("apps" | "extensions", "ReplicaSet") => {
            replica_set(context, namespace, reference).unwrap_or(Owner::Missing)
        }
        ("", "ReplicationController") => scale::<ReplicationController>(context, namespace, reference).await,
        ("apps", "StatefulSet") => scale::<StatefulSet>(context, namespace, reference).await,
        ("apps", "Deployment") => scale::<Deployment>(context, namespace, reference).await,
        _ => unknown(reference, group),
    }
}

/// A ReplicaSet's number is that of its Deployment, where it has one.
fn replica_set(context: &Context, namespace: &str, reference: &OwnerReference) -> Option<Owner> {
    let set = context.replica_sets.store().get(namespace, &reference.name)?;
    let set: &ReplicaSet = &set;
    if set.meta().uid != reference.uid {
        return None;
    }
    let owner = controller_of(set.meta()).filter(|owner| owner.kind == Deployment::kind().kind);
    let Some(owner) = owner else {
        let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        return Some(Owner::Scale { uid: set.meta().uid.clone(), replicas });
    };
    let deployment = context.deployments.store().get(namespace, &owner.name)?;
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    (deployment.meta().uid == owner.uid).then(|| Owner::Scale { uid: owner.uid.clone(), replicas })
}

async fn scale<T: Resource>(context: &Context, namespace: &str, reference: &OwnerReference) -> Owner {
    match context.client.api::<T>(namespace).get_scale(&reference.name).await {
        Ok(Scale { metadata, spec, .. }) => {
            let uid = metadata.unwrap_or_default().uid;
            let replicas = spec.unwrap_or_default().replicas;
            if uid == reference.uid { Owner::Scale { uid, replicas } } else { Owner::Missing }
        }
        Err(error) if error.is_not_found() => Owner::Missing,
        Err(error) => Owner::Unknown(error.to_string()),
    }
}

fn unknown(reference: &OwnerReference, group: &str) -> Owner {
    let version = reference.api_version.rsplit('/').next().unwrap_or_default();
    let is = |kind: &&&'static Kind| {
        (kind.group, kind.version, kind.kind) == (group, version, reference.kind.as_str())
    };
    match registry::all().iter().find(is) {
        None => {
            let OwnerReference { kind, api_version, .. } = reference;
            Owner::Unknown(format!("no matches for kind {kind:?} in version {api_version:?}"))
        }
        Some(kind) if kind.has(Subresource::Scale) => Owner::Missing,
        Some(kind) => {
            let dot = if group.is_empty() { "" } else { "." };
            Owner::Unknown(format!("{}{dot}{group} does not implement the scale subresource", kind.plural))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_scale_is_named() {
        let of = |api_version: &str, kind: &str| {
            let reference = OwnerReference {
                api_version: api_version.into(),
                kind: kind.into(),
                ..OwnerReference::default()
            };
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            unknown(&reference, group)
        };
        let text = "jobs.batch does not implement the scale subresource";
        assert_eq!(of("batch/v1", "Job"), Owner::Unknown(text.into()));
        assert_eq!(of("v1", "Node"), Owner::Unknown("nodes does not implement the scale subresource".into()));
        let text = r#"no matches for kind "Foo" in version "example.com/v1""#;
        assert_eq!(of("example.com/v1", "Foo"), Owner::Unknown(text.into()));
    }
}
