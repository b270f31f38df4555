//! A node reaches what belongs to its pods, and writes what is its own.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::rbac::until;
use crate::server::{PODS, Server, pod};

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const NODES: &str = "/api/v1/nodes";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

fn with_secret(name: &str, node: &str) -> Value {
    let mut pod = pod(name);
    pod["spec"]["nodeName"] = json!(node);
    pod["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": "s"}}]);
    pod
}

#[tokio::test]
async fn a_node_reads_what_its_pods_refer_to() {
    let server = Server::start().await;
    let one = server.client("system:node:n1", &["system:nodes"]);
    server.post(SECRETS, &json!({"metadata": {"name": "s"}})).await.ok(201);
    let secret = format!("{SECRETS}/s");
    let status = one.get(&secret).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"secrets "s" is forbidden: User "system:node:n1" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node 'n1' and this object"#
    );
    server.post(PODS, &with_secret("a", "n1")).await.ok(201);
    until(&one, &secret, 200).await;
    let selected = one.get(&format!("{SECRETS}?fieldSelector=metadata.name%3Ds")).await.ok(200);
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
    one.get(&format!("{PODS}/a")).await.ok(200);
    one.get(&format!("{PODS}?fieldSelector=spec.nodeName%3Dn1")).await.ok(200);
    one.get(PODS).await.fails_with(
        403,
        "Forbidden",
        "can only list/watch pods with spec.nodeName field selector",
    );
    one.get(SECRETS).await.fails_with(403, "Forbidden", "No Object name found");

    let two = server.client("system:node:n2", &["system:nodes"]);
    two.get(&secret).await.fails(403, "Forbidden");
    two.get(&format!("{PODS}/a")).await.fails(403, "Forbidden");
    // Who bears the name without the group is no node.
    server.client("system:node:n1", &[]).get(&secret).await.fails(403, "Forbidden");

    server.delete(&format!("{PODS}/a?gracePeriodSeconds=0")).await.ok(200);
    until(&one, &secret, 403).await;
}

#[tokio::test]
async fn a_node_writes_its_own_objects() {
    let server = Server::start().await;
    let one = server.client("system:node:n1", &["system:nodes"]);
    let node = |name: &str| json!({"metadata": {"name": name}});
    one.post(NODES, &node("n1")).await.ok(201);
    let status = one.post(NODES, &node("n2")).await.fails(403, "Forbidden");
    assert_eq!(status["message"], r#"nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2""#);
    server.post(NODES, &node("n2")).await.ok(201);
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    one.patch(&format!("{NODES}/n1/status"), MERGE, &ready).await.ok(200);
    one.patch(&format!("{NODES}/n2/status"), MERGE, &ready).await.fails(403, "Forbidden");
    let taint = json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}});
    let tainted = one.patch(&format!("{NODES}/n1"), MERGE, &taint).await;
    tainted.fails_with(403, "Forbidden", "is not allowed to modify taints");
    // The network of its pods needs the ranges of the others.
    one.get(NODES).await.ok(200);
    one.delete(&format!("{NODES}/n1")).await.fails(403, "Forbidden");

    one.post(LEASES, &node("n1")).await.ok(201);
    one.post(LEASES, &node("n2")).await.fails(403, "Forbidden");
    one.get(&format!("{LEASES}/n2")).await.fails(403, "Forbidden");

    server.post(PODS, &with_secret("a", "n1")).await.ok(201);
    server.post(PODS, &with_secret("b", "n2")).await.ok(201);
    let running = json!({"status": {"phase": "Running"}});
    one.patch(&format!("{PODS}/a/status"), MERGE, &running).await.ok(200);
    let other = one.patch(&format!("{PODS}/b/status"), MERGE, &running).await;
    other.fails_with(
        403,
        "Forbidden",
        "can only update pod status for pods with spec.nodeName set to itself",
    );
    one.delete(&format!("{PODS}/b")).await.fails(403, "Forbidden");
    one.post(PODS, &with_secret("c", "n1")).await.fails_with(403, "Forbidden", "can only create mirror pods");
    one.delete(&format!("{PODS}/a?gracePeriodSeconds=0")).await.ok(200);
    // What a node runs of its own accord, it makes known.
    let mut mirror = pod("static");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    mirror["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u", "controller": true}]);
    mirror["spec"]["nodeName"] = json!("n1");
    one.post(PODS, &mirror).await.ok(201);
    // It stays what it is: else its node could read what it refers to.
    let path = format!("{PODS}/static");
    let field = "metadata.annotations[kubernetes.io/config.mirror]";
    let change = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": null}}});
    server.patch(&path, MERGE, &change).await.invalid(&[(field, "FieldValueForbidden")]);
    let status = one.patch(&format!("{path}/status"), MERGE, &change).await;
    status.invalid(&[(field, "FieldValueForbidden")]);
    mirror["metadata"]["name"] = json!("greedy");
    mirror["spec"]["volumes"] = json!([{"name": "s", "secret": {"secretName": "s"}}]);
    let greedy = one.post(PODS, &mirror).await;
    greedy.fails_with(403, "Forbidden", "can not create pods that reference the Secret");
}

#[tokio::test]
async fn a_node_reaches_its_own_devices() {
    let server = Server::start().await;
    let one = server.client("system:node:n1", &["system:nodes"]);
    let csi = "/apis/storage.k8s.io/v1/csinodes";
    let slices = "/apis/resource.k8s.io/v1/resourceslices";
    one.get(&format!("{csi}/n1")).await.fails(404, "NotFound");
    one.get(&format!("{csi}/n2")).await.fails(403, "Forbidden");
    one.get(csi).await.fails(403, "Forbidden");
    one.get(&format!("{slices}?fieldSelector=spec.nodeName%3Dn1")).await.ok(200);
    one.get(&format!("{slices}?fieldSelector=spec.nodeName%3Dn2")).await.fails(403, "Forbidden");
    one.get(slices).await.fails(403, "Forbidden");
    one.delete(slices).await.fails(403, "Forbidden");
    let claim = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/c";
    one.get(claim).await.fails(403, "Forbidden");
    one.get("/apis/storage.k8s.io/v1/volumeattachments/v").await.fails(403, "Forbidden");
}
