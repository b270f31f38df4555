//! The fields that selectors may name.

use crate::core::v1::{
    Event, Namespace, Node, Pod, PodSpec, PodStatus, ReplicationController, Secret, Service,
};

/// A field's path and its value.
pub(super) type Field = (&'static str, String);

pub(super) fn pod(pod: &Pod) -> Vec<Field> {
    let spec = |field: fn(&PodSpec) -> String| pod.spec.as_ref().map(field).unwrap_or_default();
    let status = |field: fn(&PodStatus) -> String| pod.status.as_ref().map(field).unwrap_or_default();
    vec![
        ("spec.nodeName", spec(|spec| spec.node_name.clone())),
        ("spec.restartPolicy", spec(|spec| spec.restart_policy.clone())),
        ("spec.schedulerName", spec(|spec| spec.scheduler_name.clone())),
        ("spec.serviceAccountName", spec(|spec| spec.service_account_name.clone())),
        ("spec.hostNetwork", pod.spec.as_ref().is_some_and(|spec| spec.host_network).to_string()),
        ("status.phase", status(|status| status.phase.clone())),
        ("status.podIP", status(|status| status.pod_ip.clone())),
        ("status.nominatedNodeName", status(|status| status.nominated_node_name.clone())),
    ]
}

pub(super) fn node(node: &Node) -> Vec<Field> {
    vec![("spec.unschedulable", node.spec.as_ref().is_some_and(|spec| spec.unschedulable).to_string())]
}

pub(super) fn namespace(namespace: &Namespace) -> Vec<Field> {
    let phase = namespace.status.as_ref().map(|status| status.phase.clone());
    vec![("status.phase", phase.unwrap_or_default())]
}

pub(super) fn secret(secret: &Secret) -> Vec<Field> {
    vec![("type", secret.r#type.clone())]
}

pub(super) fn service(service: &Service) -> Vec<Field> {
    let spec = service.spec.as_ref();
    vec![
        ("spec.clusterIP", spec.map(|spec| spec.cluster_ip.clone()).unwrap_or_default()),
        ("spec.type", spec.map(|spec| spec.r#type.clone()).unwrap_or_default()),
    ]
}

pub(super) fn replication_controller(controller: &ReplicationController) -> Vec<Field> {
    let replicas = controller.status.as_ref().map_or(0, |status| status.replicas);
    vec![("status.replicas", replicas.to_string())]
}

pub(super) fn event(event: &Event) -> Vec<Field> {
    let object = event.involved_object.clone().unwrap_or_default();
    let component = event.source.as_ref().map(|source| source.component.clone()).unwrap_or_default();
    let source = if component.is_empty() { event.reporting_component.clone() } else { component };
    vec![
        ("involvedObject.kind", object.kind),
        ("involvedObject.namespace", object.namespace),
        ("involvedObject.name", object.name),
        ("involvedObject.uid", object.uid),
        ("involvedObject.apiVersion", object.api_version),
        ("involvedObject.resourceVersion", object.resource_version),
        ("involvedObject.fieldPath", object.field_path),
        ("reason", event.reason.clone()),
        ("reportingComponent", event.reporting_component.clone()),
        ("source", source),
        ("type", event.r#type.clone()),
    ]
}
