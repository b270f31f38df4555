//! Objects for tests.

use std::sync::Arc;

use gantry_api::core::v1::{Node, Pod as WholePod};
use serde_json::{Value, json};

use crate::pod::Pod;

fn lean(whole: Value) -> Pod {
    serde_json::from_value::<WholePod>(whole).unwrap().into()
}

pub(crate) fn pod(spec: Value) -> Pod {
    lean(json!({"metadata": {"name": "p", "namespace": "default"}, "spec": spec}))
}

pub(crate) fn owned_pod(name: &str, owner: &str) -> Pod {
    lean(json!({
        "metadata": {"name": name, "namespace": "default",
            "ownerReferences": [{"uid": owner, "controller": true, "kind": "ReplicaSet", "name": "r", "apiVersion": "apps/v1"}]},
        "spec": {"containers": [{"name": "c"}]}
    }))
}

pub(crate) fn pod_on(name: &str, node: &str, cpu: &str) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}
    });
    Arc::new(lean(pod))
}

pub(crate) fn node(name: &str, cpu: &str, memory: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}}
    }))
    .unwrap()
}
