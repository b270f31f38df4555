//! What runs pods: deployments, replica sets and the others.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, NONE, joined, labels, or_none};
use crate::Resource;
use crate::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use crate::core::v1::{PodTemplate, PodTemplateSpec, ReplicationController};
use crate::meta::v1::LabelSelector;
use crate::strategy::age;

pub(super) const CONTAINERS: Column = Column::wide("Containers", "string", "The names of the containers");
pub(super) const IMAGES: Column = Column::wide("Images", "string", "The images of the containers");
pub(super) const SELECTOR: Column = Column::wide("Selector", "string", "Which pods belong to it");
const READY: Column = Column::new("Ready", "string", "Ready pods of those that are wanted");
const UP_TO_DATE: Column = Column::new("Up-to-date", "integer", "Pods of the present template");
const AVAILABLE: Column = Column::new("Available", "integer", "Pods that have been ready for long enough");
const DESIRED: Column = Column::new("Desired", "integer", "Pods that are wanted");
const CURRENT: Column = Column::new("Current", "integer", "Pods that are there");
const READY_PODS: Column = Column::new("Ready", "integer", "Pods that are ready");

pub(in crate::strategy) const DEPLOYMENT: &[Column] =
    &[Column::NAME, READY, UP_TO_DATE, AVAILABLE, Column::AGE, CONTAINERS, IMAGES, SELECTOR];

pub(in crate::strategy) fn deployment(deployment: &Deployment, now: Timestamp) -> Vec<Value> {
    let (spec, status) =
        (deployment.spec.clone().unwrap_or_default(), deployment.status.clone().unwrap_or_default());
    let [containers, images] = template(spec.template.as_ref());
    vec![
        deployment.name().into(),
        format!("{}/{}", status.ready_replicas, spec.replicas.unwrap_or(1)).into(),
        status.updated_replicas.into(),
        status.available_replicas.into(),
        age(Resource::meta(deployment), now),
        containers,
        images,
        selector(spec.selector.as_ref()),
    ]
}

pub(in crate::strategy) const REPLICA_SET: &[Column] =
    &[Column::NAME, DESIRED, CURRENT, READY_PODS, Column::AGE, CONTAINERS, IMAGES, SELECTOR];

pub(in crate::strategy) fn replica_set(set: &ReplicaSet, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (set.spec.clone().unwrap_or_default(), set.status.clone().unwrap_or_default());
    let [containers, images] = template(spec.template.as_ref());
    vec![
        set.name().into(),
        spec.replicas.unwrap_or(1).into(),
        status.replicas.into(),
        status.ready_replicas.into(),
        age(Resource::meta(set), now),
        containers,
        images,
        selector(spec.selector.as_ref()),
    ]
}

pub(in crate::strategy) fn replication_controller(set: &ReplicationController, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (set.spec.clone().unwrap_or_default(), set.status.clone().unwrap_or_default());
    let [containers, images] = template(spec.template.as_ref());
    vec![
        set.name().into(),
        spec.replicas.unwrap_or(1).into(),
        status.replicas.into(),
        status.ready_replicas.into(),
        age(Resource::meta(set), now),
        containers,
        images,
        labels(&spec.selector),
    ]
}

pub(in crate::strategy) const STATEFUL_SET: &[Column] =
    &[Column::NAME, READY, Column::AGE, CONTAINERS, IMAGES];

pub(in crate::strategy) fn stateful_set(set: &StatefulSet, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (set.spec.clone().unwrap_or_default(), set.status.clone().unwrap_or_default());
    let [containers, images] = template(spec.template.as_ref());
    let ready = format!("{}/{}", status.ready_replicas, spec.replicas.unwrap_or(1));
    vec![set.name().into(), ready.into(), age(Resource::meta(set), now), containers, images]
}

pub(in crate::strategy) const DAEMON_SET: &[Column] = &[
    Column::NAME,
    DESIRED,
    CURRENT,
    READY_PODS,
    UP_TO_DATE,
    AVAILABLE,
    Column::new("Node Selector", "string", "The labels of the nodes that run it"),
    Column::AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(in crate::strategy) fn daemon_set(set: &DaemonSet, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (set.spec.clone().unwrap_or_default(), set.status.clone().unwrap_or_default());
    let pod = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let [containers, images] = template(spec.template.as_ref());
    vec![
        set.name().into(),
        status.desired_number_scheduled.into(),
        status.current_number_scheduled.into(),
        status.number_ready.into(),
        status.updated_number_scheduled.into(),
        status.number_available.into(),
        pod.map_or_else(|| NONE.into(), |pod| labels(&pod.node_selector)),
        age(Resource::meta(set), now),
        containers,
        images,
        selector(spec.selector.as_ref()),
    ]
}

pub(in crate::strategy) const CONTROLLER_REVISION: &[Column] = &[
    Column::NAME,
    Column::new("Controller", "string", "The controller that it belongs to"),
    Column::new("Revision", "string", "Its number"),
    Column::AGE,
];

pub(in crate::strategy) fn controller_revision(revision: &ControllerRevision, now: Timestamp) -> Vec<Value> {
    let owner = Resource::meta(revision).owner_references.iter().find(|owner| owner.controller == Some(true));
    let owner = owner.map_or_else(
        || NONE.to_owned(),
        |owner| {
            let kind = owner.kind.to_lowercase();
            match owner.api_version.split_once('/') {
                Some((group, _)) => format!("{kind}.{group}/{}", owner.name),
                None => format!("{kind}/{}", owner.name),
            }
        },
    );
    vec![
        revision.name().into(),
        owner.into(),
        revision.revision.to_string().into(),
        age(Resource::meta(revision), now),
    ]
}

pub(in crate::strategy) const POD_TEMPLATE: &[Column] = &[
    Column::NAME,
    Column::new("Containers", "string", "The names of the containers"),
    Column::new("Images", "string", "The images of the containers"),
    Column::new("Pod Labels", "string", "The labels of its pods"),
];

pub(in crate::strategy) fn pod_template(pod: &PodTemplate) -> Vec<Value> {
    let [containers, images] = template(pod.template.as_ref());
    let meta = pod.template.as_ref().and_then(|template| template.metadata.as_ref());
    vec![pod.name().into(), containers, images, meta.map_or_else(|| NONE.into(), |meta| labels(&meta.labels))]
}

pub(super) fn template(template: Option<&PodTemplateSpec>) -> [Value; 2] {
    let Some(pod) = template.and_then(|template| template.spec.as_ref()) else {
        return [NONE.into(), NONE.into()];
    };
    [
        joined(pod.containers.iter().map(|container| container.name.as_str())),
        joined(pod.containers.iter().map(|container| container.image.as_str())),
    ]
}

pub(super) fn selector(selector: Option<&LabelSelector>) -> Value {
    match crate::selector::LabelSelector::from_meta(selector) {
        Ok(selector) => or_none(&selector.to_string()),
        Err(_) => NONE.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_counts_its_pods() {
        let object: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}]}},
            },
            "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
        }))
        .unwrap();
        let cells = deployment(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(json!(cells), json!(["web", "2/3", 3, 1, "<unknown>", "a,b", "x:1,y", "app=web"]));
        assert_eq!(cells.len(), DEPLOYMENT.len());
    }
}
