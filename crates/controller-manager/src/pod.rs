//! What controllers read of a pod, and nothing else.
//!
//! A cluster has more pods than anything else, and a whole one takes ten times the memory of what is read here. This is
//! a message with some of a pod's fields under the same numbers, so that the rest is not even decoded. It must never be
//! written back: pods are patched and deleted.

use gantry_api::core::v1::{ContainerPort, ObjectReference, PodCondition, PodIp, Toleration};
use gantry_api::meta::v1::ObjectMeta;
use gantry_api::{Kind, Resource, core};
use gantry_client::{ObjectKey, PodExt, Stored};
use prost::Message;

/// The cost that an owner gives to a pod's deletion.
pub(crate) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The conditions that are kept.
const READY: &str = "Ready";
pub(crate) const DISRUPTION_TARGET: &str = "DisruptionTarget";

/// A pod.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pod {
    /// Its metadata, without field ownership and most annotations.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ObjectMeta>,
    /// What it asks for.
    #[prost(message, optional, tag = "2")]
    pub spec: Option<PodSpec>,
    /// How it is.
    #[prost(message, optional, tag = "3")]
    pub status: Option<PodStatus>,
}

/// What a pod asks for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSpec {
    /// The containers that have ports.
    #[prost(message, repeated, tag = "2")]
    pub containers: Vec<Container>,
    /// The node; empty before the assignment.
    #[prost(string, tag = "10")]
    pub node_name: String,
    /// The name that DNS gives it.
    #[prost(string, tag = "16")]
    pub hostname: String,
    /// The Service under which DNS gives it that name.
    #[prost(string, tag = "17")]
    pub subdomain: String,
    /// Which evicting taints it bears.
    #[prost(message, repeated, tag = "22")]
    pub tolerations: Vec<Toleration>,
}

/// A container.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    /// Its ports.
    #[prost(message, repeated, tag = "6")]
    pub ports: Vec<ContainerPort>,
}

/// How a pod is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodStatus {
    /// Its phase.
    #[prost(string, tag = "1")]
    pub phase: String,
    /// Whether it is ready.
    #[prost(message, repeated, tag = "2")]
    pub conditions: Vec<PodCondition>,
    /// Its first address.
    #[prost(string, tag = "6")]
    pub pod_ip: String,
    /// How often its containers were started again.
    #[prost(message, repeated, tag = "8")]
    pub container_statuses: Vec<ContainerStatus>,
    /// All its addresses.
    #[prost(message, repeated, tag = "12")]
    pub pod_ips: Vec<PodIp>,
}

/// How a container is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerStatus {
    /// How often it was started again.
    #[prost(int32, tag = "5")]
    pub restart_count: i32,
}

impl Pod {
    /// The kind.
    #[must_use]
    pub fn kind() -> &'static Kind {
        core::v1::Pod::kind()
    }

    /// The metadata.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        static EMPTY: std::sync::LazyLock<ObjectMeta> = std::sync::LazyLock::new(ObjectMeta::default);
        self.metadata.as_ref().unwrap_or(&EMPTY)
    }

    /// The metadata, to be changed.
    pub fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.metadata.get_or_insert_default()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.meta().name
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.meta().namespace
    }

    /// Namespace and name.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::of_meta(self.meta())
    }

    /// A reference, as events carry it.
    #[must_use]
    pub fn reference(&self) -> ObjectReference {
        let meta = self.meta();
        ObjectReference {
            kind: Self::kind().kind.to_owned(),
            api_version: Self::kind().api_version(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
            ..ObjectReference::default()
        }
    }

    /// Drops what no controller reads, and the room that decoding left.
    pub fn trim(&mut self) {
        if let Some(meta) = &mut self.metadata {
            meta.managed_fields = Vec::new();
            meta.annotations.retain(|key, _| key == DELETION_COST);
            meta.generate_name = String::new();
            meta.owner_references.shrink_to_fit();
        }
        if let Some(spec) = &mut self.spec {
            spec.containers.retain(|container| !container.ports.is_empty());
            spec.containers.shrink_to_fit();
            for container in &mut spec.containers {
                container.ports.shrink_to_fit();
            }
            // Only eviction looks at them.
            spec.tolerations.retain(|one| one.effect.is_empty() || one.effect == "NoExecute");
            spec.tolerations.shrink_to_fit();
        }
        if let Some(status) = &mut self.status {
            let kept = |r#type: &str| matches!(r#type, READY | DISRUPTION_TARGET);
            status.conditions.retain(|condition| kept(&condition.r#type));
            for condition in &mut status.conditions {
                condition.message = String::new();
                if condition.r#type == READY {
                    condition.reason = String::new();
                }
            }
            status.conditions.shrink_to_fit();
            status.container_statuses.shrink_to_fit();
            status.pod_ips.shrink_to_fit();
        }
    }
}

impl Stored for Pod {
    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }
}

impl From<core::v1::Pod> for Pod {
    fn from(pod: core::v1::Pod) -> Self {
        // It is a pod's encoding, whose fields these are.
        Self::decode(&pod.encode_to_vec()[..]).unwrap_or_default()
    }
}

impl PodExt for Pod {
    fn phase(&self) -> &str {
        self.status.as_ref().map_or("", |status| &status.phase)
    }

    fn node_name(&self) -> &str {
        self.spec.as_ref().map_or("", |spec| &spec.node_name)
    }

    fn condition(&self, r#type: &str) -> Option<&PodCondition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == r#type)
    }

    fn is_terminating(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::Pod;
    use gantry_api::core;
    use gantry_client::PodExt;
    use serde_json::json;

    #[test]
    fn the_fields_are_those_of_a_pod() {
        let whole: core::v1::Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "web-1", "namespace": "default", "uid": "u", "generateName": "web-",
                "labels": {"app": "web"},
                "annotations": {"controller.kubernetes.io/pod-deletion-cost": "7", "note": "x"},
                "managedFields": [{"manager": "someone"}]
            },
            "spec": {
                "nodeName": "n1", "hostname": "h", "subdomain": "s",
                "containers": [
                    {"name": "a", "image": "i", "ports": [{"name": "http", "containerPort": 80}]},
                    {"name": "b", "image": "i"}
                ],
                "tolerations": [
                    {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
                    {"key": "b", "operator": "Exists", "effect": "NoSchedule"}
                ]
            },
            "status": {
                "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                "conditions": [
                    {"type": "Initialized", "status": "True"},
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                ],
                "containerStatuses": [
                    {"name": "a", "restartCount": 3, "ready": true, "image": "i", "imageID": "i"}
                ]
            }
        }))
        .unwrap();
        let mut pod = Pod::from(whole);
        pod.trim();
        assert_eq!(
            (pod.name(), pod.namespace(), pod.node_name(), pod.phase()),
            ("web-1", "default", "n1", "Running")
        );
        assert!(pod.is_ready() && pod.meta().managed_fields.is_empty());
        assert_eq!(pod.meta().annotations.len(), 1);
        assert_eq!(pod.meta().labels["app"], "web");
        let (spec, status) = (pod.spec.unwrap(), pod.status.unwrap());
        assert_eq!((spec.hostname.as_str(), spec.subdomain.as_str()), ("h", "s"));
        assert_eq!((spec.containers.len(), spec.containers[0].ports[0].container_port), (1, 80));
        assert_eq!((spec.tolerations.len(), spec.tolerations[0].toleration_seconds), (1, Some(5)));
        assert_eq!((status.pod_ip.as_str(), status.pod_ips[1].ip.as_str()), ("10.0.0.1", "fd00::1"));
        assert_eq!((status.container_statuses[0].restart_count, status.conditions.len()), (3, 1));
    }
}
