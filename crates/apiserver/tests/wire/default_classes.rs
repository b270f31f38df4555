//! What new objects get of those that are marked as the default, and what claims may grow by.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const STORAGE: &str = "/apis/storage.k8s.io/v1/storageclasses";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
const INGRESS_CLASSES: &str = "/apis/networking.k8s.io/v1/ingressclasses";

fn claim(name: &str, class: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": class},
    })
}

fn storage_class(name: &str, default: bool, expands: bool) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.com/disk",
        "metadata": {"name": name, "annotations":
            {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
        "allowVolumeExpansion": expands,
    })
}

#[tokio::test]
async fn claims_get_the_default_storage_class() {
    let server = Server::start().await;
    let none = server.post(CLAIMS, &claim("before", Value::Null)).await.ok(201);
    assert!(none["spec"].get("storageClassName").is_none(), "{none}");
    server.post(STORAGE, &storage_class("plain", false, false)).await.ok(201);
    server.post(STORAGE, &storage_class("fast", true, true)).await.ok(201);
    server.get(STORAGE).await.ok(200);
    let made = server.post(CLAIMS, &claim("after", Value::Null)).await.ok(201);
    assert_eq!(made["spec"]["storageClassName"], "fast");
    for own in ["plain", ""] {
        let name = if own.is_empty() { "empty" } else { own };
        let made = server.post(CLAIMS, &claim(name, json!(own))).await.ok(201);
        assert_eq!(made["spec"]["storageClassName"], own, "what a claim names stays");
    }
}

#[tokio::test]
async fn the_default_can_be_switched_off() {
    let off = "--disable-admission-plugins=DefaultStorageClass,TaintNodesByCondition,ServiceAccount";
    let server = Server::start_with(&[off]).await;
    server.post(STORAGE, &storage_class("fast", true, true)).await.ok(201);
    server.get(STORAGE).await.ok(200);
    let made = server.post(CLAIMS, &claim("a", Value::Null)).await.ok(201);
    assert!(made["spec"].get("storageClassName").is_none(), "{made}");
    let node = server.post("/api/v1/nodes", &json!({"metadata": {"name": "n"}})).await.ok(201);
    assert!(node["spec"].get("taints").is_none(), "{node}");
}

#[tokio::test]
async fn claims_grow_where_their_class_lets_them() {
    let server = Server::start().await;
    server.post(STORAGE, &storage_class("plain", false, false)).await.ok(201);
    server.post(STORAGE, &storage_class("fast", false, true)).await.ok(201);
    let larger = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    for class in ["plain", "fast"] {
        server.post(CLAIMS, &claim(class, json!(class))).await.ok(201);
        let status = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
        server.patch(&format!("{CLAIMS}/{class}/status"), MERGE, &status).await.ok(200);
    }
    let status = server.patch(&format!("{CLAIMS}/plain"), MERGE, &larger).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        "persistentvolumeclaims \"plain\" is forbidden: only dynamically provisioned pvc can be resized and the \
         storageclass that provisions the pvc must support resize"
    );
    let grown = server.patch(&format!("{CLAIMS}/fast"), MERGE, &larger).await.ok(200);
    assert_eq!(grown["spec"]["resources"]["requests"]["storage"], "2Gi");
}

#[tokio::test]
async fn ingresses_get_the_default_class() {
    let server = Server::start().await;
    let class = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "spec": {"controller": "example.com/edge"},
        "metadata": {"name": "edge", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
    });
    server.post(INGRESS_CLASSES, &class).await.ok(201);
    server.get(INGRESS_CLASSES).await.ok(200);
    let ingress = |name: &str, annotations: Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
        })
    };
    let made = server.post(INGRESSES, &ingress("a", json!({}))).await.ok(201);
    assert_eq!(made["spec"]["ingressClassName"], "edge");
    let named = json!({"kubernetes.io/ingress.class": "other"});
    let made = server.post(INGRESSES, &ingress("b", named)).await.ok(201);
    assert!(made["spec"].get("ingressClassName").is_none(), "{made}");
}

#[tokio::test]
async fn new_nodes_take_no_pods() {
    let server = Server::start().await;
    let node = json!({"metadata": {"name": "n", "labels": {
        "topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "eu", "disk": "fast"}}});
    let node = server.post("/api/v1/nodes", &node).await.ok(201);
    let taint = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
    assert_eq!(node["spec"]["taints"], taint);
    let none = json!({"spec": {"taints": null}});
    let free = server.patch("/api/v1/nodes/n", MERGE, &none).await.ok(200);
    assert!(free["spec"].get("taints").is_none(), "only new nodes are tainted: {free}");

    // Pods learn from their node where they run, however they get there.
    let pods = crate::server::PODS;
    let mut own = crate::server::pod("own");
    own["spec"]["nodeName"] = json!("n");
    own["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "b", "app": "x"});
    let made = server.post(pods, &own).await.ok(201);
    let labels =
        json!({"app": "x", "topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"});
    assert_eq!(made["metadata"]["labels"], labels);
    server.post(pods, &crate::server::pod("bound")).await.ok(201);
    let binding = json!({"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "n"}});
    server.post(&format!("{pods}/bound/binding"), &binding).await.ok(201);
    let bound = server.get(&format!("{pods}/bound")).await.ok(200);
    let labels = json!({"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"});
    assert_eq!(bound["metadata"]["labels"], labels);
}
