//! Nodes and what is decided about namespaces.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, NONE, UNKNOWN};
use crate::Resource;
use crate::core::v1::Node;
use crate::strategy::age;

const ROLE: &str = "node-role.kubernetes.io/";

pub(in crate::strategy) const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Status", "string", "Whether the node is ready, and takes new pods"),
    Column::new("Roles", "string", "The roles that its labels name"),
    Column::AGE,
    Column::new("Version", "string", "The kubelet's version"),
    Column::wide("Internal-IP", "string", "Its address within the cluster"),
    Column::wide("External-IP", "string", "Its address outside of the cluster"),
    Column::wide("OS-Image", "string", "Its operating system"),
    Column::wide("Kernel-Version", "string", "Its kernel"),
    Column::wide("Container-Runtime", "string", "Its container runtime"),
];

pub(in crate::strategy) fn cells(node: &Node, now: Timestamp) -> Vec<Value> {
    let status = node.status.clone().unwrap_or_default();
    let info = status.node_info.unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.r#type == "Ready");
    let mut text = match ready {
        Some(ready) if ready.status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if node.spec.as_ref().is_some_and(|spec| spec.unschedulable) {
        text.push_str(",SchedulingDisabled");
    }
    let address = |wanted: &str| -> Value {
        let found = status.addresses.iter().find(|address| address.r#type == wanted);
        found.map_or(NONE, |address| address.address.as_str()).into()
    };
    let known = |text: &str| -> Value { if text.is_empty() { UNKNOWN.into() } else { text.into() } };
    let mut roles: Vec<&str> =
        Resource::meta(node).labels.keys().filter_map(|key| key.strip_prefix(ROLE)).collect();
    if let Some(role) = Resource::meta(node).labels.get("kubernetes.io/role") {
        roles.push(role);
    }
    roles.sort_unstable();
    vec![
        node.name().into(),
        text.into(),
        if roles.is_empty() { NONE.into() } else { roles.join(",").into() },
        age(Resource::meta(node), now),
        info.kubelet_version.as_str().into(),
        address("InternalIP"),
        address("ExternalIP"),
        known(&info.os_image),
        known(&info.kernel_version),
        known(&info.container_runtime_version),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_says_whether_the_node_takes_pods() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1"},
            },
        }))
        .unwrap();
        let cells = cells(&node, Timestamp::UNIX_EPOCH);
        assert_eq!(
            json!(cells),
            json!([
                "n",
                "Ready,SchedulingDisabled",
                "control-plane",
                "<unknown>",
                "v1",
                "10.0.0.1",
                "<none>",
                "<unknown>",
                "<unknown>",
                "<unknown>"
            ])
        );
        assert_eq!(cells.len(), COLUMNS.len());
    }
}
