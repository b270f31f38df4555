//! What the scheduler reads of a pod, and nothing else.
//!
//! The scheduler holds every pod of the cluster, and a whole one takes ten times the memory of what is read here. This
//! is a message with some of a pod's fields under the same numbers, so that the rest is not even decoded.

use gantry_api::core::v1::{
    Affinity, ContainerPort, ObjectReference, Pod as WholePod, PodCondition, PodSchedulingGate, Toleration,
};
use gantry_api::meta::v1::ObjectMeta;
use gantry_api::scalars::Quantity;
use gantry_api::{Kind, Resource};
use gantry_client::Stored;
use prost::Message;
use std::collections::BTreeMap;

/// The condition that says whether a pod has a node.
pub(crate) const POD_SCHEDULED: &str = "PodScheduled";

/// A pod.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pod {
    /// Its metadata, without annotations and field ownership.
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
    /// The containers.
    #[prost(message, repeated, tag = "2")]
    pub containers: Vec<Container>,
    /// Labels that the node must have.
    #[prost(btree_map = "string, string", tag = "7")]
    pub node_selector: BTreeMap<String, String>,
    /// The node; empty before the assignment.
    #[prost(string, tag = "10")]
    pub node_name: String,
    /// Which nodes it likes.
    #[prost(message, optional, boxed, tag = "18")]
    pub affinity: Option<Box<Affinity>>,
    /// Who assigns it.
    #[prost(string, tag = "19")]
    pub scheduler_name: String,
    /// The containers that run before.
    #[prost(message, repeated, tag = "20")]
    pub init_containers: Vec<Container>,
    /// Which taints it bears.
    #[prost(message, repeated, tag = "22")]
    pub tolerations: Vec<Toleration>,
    /// Its place in the queue.
    #[prost(int32, optional, tag = "25")]
    pub priority: Option<i32>,
    /// What the pod takes beside its containers.
    #[prost(message, repeated, tag = "32")]
    pub overhead: Vec<Amount>,
    /// What must be gone before it is assigned.
    #[prost(message, repeated, tag = "38")]
    pub scheduling_gates: Vec<PodSchedulingGate>,
}

/// A container.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    /// The ports that it takes of its node.
    #[prost(message, repeated, tag = "6")]
    pub ports: Vec<ContainerPort>,
    /// What it asks for.
    #[prost(message, optional, tag = "8")]
    pub resources: Option<Requests>,
    /// `Always` makes an init container a sidecar.
    #[prost(string, optional, tag = "24")]
    pub restart_policy: Option<String>,
}

/// What a container asks for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Requests {
    /// The amounts.
    #[prost(message, repeated, tag = "2")]
    pub requests: Vec<Amount>,
}

/// An entry of a map of amounts, which is a tenth of the map's size.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Amount {
    /// The resource.
    #[prost(string, tag = "1")]
    pub resource: String,
    /// How much of it.
    #[prost(message, optional, tag = "2")]
    pub amount: Option<Quantity>,
}

/// How a pod is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodStatus {
    /// Its phase.
    #[prost(string, tag = "1")]
    pub phase: String,
    /// Whether it has a node.
    #[prost(message, repeated, tag = "2")]
    pub conditions: Vec<PodCondition>,
}

impl Pod {
    /// The kind.
    #[must_use]
    pub fn kind() -> &'static Kind {
        WholePod::kind()
    }

    /// The metadata.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        static EMPTY: std::sync::LazyLock<ObjectMeta> = std::sync::LazyLock::new(ObjectMeta::default);
        self.metadata.as_ref().unwrap_or(&EMPTY)
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

    /// Drops what is not read, the more of a pod that has its node, and the room that decoding left.
    pub fn trim(&mut self) {
        let placed = self.spec.as_ref().is_some_and(|spec| !spec.node_name.is_empty());
        if let Some(meta) = &mut self.metadata {
            meta.managed_fields = Vec::new();
            meta.annotations = BTreeMap::new();
            meta.finalizers = Vec::new();
            meta.generate_name = String::new();
            meta.owner_references.retain(|owner| owner.controller == Some(true));
            meta.owner_references.shrink_to_fit();
            if placed {
                meta.labels = BTreeMap::new();
            }
        }
        if let Some(spec) = &mut self.spec {
            for container in spec.containers.iter_mut().chain(&mut spec.init_containers) {
                container.ports.retain(|port| port.host_port > 0);
                container.ports.shrink_to_fit();
                if let Some(resources) = &mut container.resources {
                    resources.requests.shrink_to_fit();
                }
            }
            spec.containers.shrink_to_fit();
            spec.init_containers.shrink_to_fit();
            if placed {
                spec.node_selector = BTreeMap::new();
                spec.affinity = None;
                spec.tolerations = Vec::new();
            }
            spec.tolerations.shrink_to_fit();
        }
        if let Some(status) = &mut self.status {
            status.conditions.retain(|condition| condition.r#type == POD_SCHEDULED && !placed);
            status.conditions.shrink_to_fit();
        }
    }
}

impl Stored for Pod {
    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }
}

impl From<WholePod> for Pod {
    fn from(pod: WholePod) -> Self {
        // It is a pod's encoding, whose fields these are.
        Self::decode(&pod.encode_to_vec()[..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pod, WholePod};
    use serde_json::{Value, json};

    fn whole() -> Value {
        json!({
            "metadata": {
                "name": "web-1", "namespace": "default", "uid": "u", "labels": {"app": "web"},
                "ownerReferences": [
                    {"uid": "o", "controller": true, "kind": "ReplicaSet", "name": "web", "apiVersion": "apps/v1"}
                ]
            },
            "spec": {
                "schedulerName": "default-scheduler", "priority": 7, "nodeSelector": {"disk": "ssd"},
                "schedulingGates": [{"name": "quota"}], "overhead": {"cpu": "5m"},
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]
                }}},
                "containers": [{"name": "a", "image": "i",
                    "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}],
                    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}}}],
                "initContainers": [{"name": "s", "image": "i", "restartPolicy": "Always"}],
                "tolerations": [{"key": "gpu", "operator": "Exists"}]
            },
            "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False"}, {"type": "Ready", "status": "False"}
            ]}
        })
    }

    fn trimmed(whole: Value) -> Pod {
        let mut pod = Pod::from(serde_json::from_value::<WholePod>(whole).unwrap());
        pod.trim();
        pod
    }

    #[test]
    fn the_fields_are_those_of_a_pod() {
        let pod = trimmed(whole());
        assert_eq!((pod.name(), pod.namespace(), pod.meta().labels.len()), ("web-1", "default", 1));
        let spec = pod.spec.unwrap();
        assert_eq!((spec.scheduler_name.as_str(), spec.priority), ("default-scheduler", Some(7)));
        assert_eq!((spec.node_selector["disk"].as_str(), spec.scheduling_gates.len()), ("ssd", 1));
        assert_eq!((spec.overhead.len(), spec.tolerations[0].key.as_str()), (1, "gpu"));
        assert!(spec.affinity.unwrap().node_affinity.is_some());
        let container = &spec.containers[0];
        assert_eq!((container.ports.len(), container.ports[0].host_port), (1, 8081));
        let requests = &container.resources.as_ref().unwrap().requests;
        assert_eq!(
            (requests[1].resource.as_str(), requests[1].amount.as_ref().unwrap().string.as_str()),
            ("memory", "1Gi")
        );
        assert_eq!(spec.init_containers[0].restart_policy.as_deref(), Some("Always"));
        assert_eq!(pod.status.unwrap().conditions.len(), 1);
    }

    #[test]
    fn a_pod_with_a_node_keeps_what_it_occupies() {
        let mut whole = whole();
        whole["spec"]["nodeName"] = "n1".into();
        let pod = trimmed(whole);
        assert!(pod.meta().labels.is_empty() && pod.meta().owner_references.len() == 1);
        let spec = pod.spec.unwrap();
        assert!(spec.affinity.is_none() && spec.tolerations.is_empty());
        assert_eq!((spec.containers[0].ports.len(), spec.node_name.as_str()), (1, "n1"));
    }
}
