//! Objects for tests.

use std::sync::Arc;

use gantry_api::core::v1::{Node, Pod};
use serde_json::{Value, json};

pub(crate) fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "default"}, "spec": spec})).unwrap()
}

pub(crate) fn owned_pod(name: &str, owner: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default",
            "ownerReferences": [{"uid": owner, "controller": true, "kind": "ReplicaSet", "name": "r", "apiVersion": "apps/v1"}]},
        "spec": {"containers": [{"name": "c"}]}
    }))
    .unwrap()
}

pub(crate) fn pod_on(name: &str, node: &str, cpu: &str) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

pub(crate) fn node(name: &str, cpu: &str, memory: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}}
    }))
    .unwrap()
}
