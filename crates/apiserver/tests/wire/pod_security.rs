//! The Pod Security Standards, as a namespace's labels ask for them.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::{Server, pod};

const NAMESPACES: &str = "/api/v1/namespaces";
const PODS: &str = "/api/v1/namespaces/strict/pods";

fn namespace(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn in_strict(name: &str) -> Value {
    let mut pod = pod(name);
    pod["metadata"]["namespace"] = json!("strict");
    pod
}

#[tokio::test]
async fn pods_are_refused_that_the_namespace_forbids() {
    let server = Server::start().await;
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    server.post(NAMESPACES, &namespace("strict", labels)).await.ok(201);
    server.post(PODS, &in_strict("plain")).await.ok(201);
    let mut host = in_strict("host");
    host["spec"]["hostNetwork"] = json!(true);
    let status = server.post(PODS, &host).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"pods "host" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)"#
    );
    let path = format!("{NAMESPACES}/strict");
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "v1.30"
    });
    server.patch(&path, MERGE, &json!({"metadata": {"labels": labels}})).await.ok(200);
    let refusal = "violates PodSecurity \"restricted:v1.30\": allowPrivilegeEscalation != false (container";
    server.post(PODS, &in_strict("second")).await.fails_with(403, "Forbidden", refusal);
    // What runs may change what its security does not depend on.
    let path = format!("{PODS}/plain");
    server.patch(&path, MERGE, &json!({"metadata": {"labels": {"a": "b"}}})).await.ok(200);
    let image = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "other"}]);
    server.patch(&path, crate::http::JSON_PATCH, &image).await.fails_with(
        403,
        "Forbidden",
        "violates PodSecurity",
    );
}

#[tokio::test]
async fn labels_that_nobody_understands_are_refused() {
    let server = Server::start().await;
    let labels = json!({"pod-security.kubernetes.io/enforce": "strict"});
    let status = server.post(NAMESPACES, &namespace("a", labels)).await.fails(422, "Invalid");
    assert_eq!(
        status["message"],
        "Namespace \"a\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": \
         must be one of privileged, baseline, restricted"
    );
    server.post(NAMESPACES, &namespace("a", json!({}))).await.ok(201);
    let patch = json!({"metadata": {"labels": {"pod-security.kubernetes.io/warn-version": "1.25"}}});
    let refusal = "must be \"latest\" or \"v1.x\"";
    server.patch(&format!("{NAMESPACES}/a"), MERGE, &patch).await.fails_with(422, "Invalid", refusal);
}

#[tokio::test]
async fn what_a_namespace_warns_of_comes_with_the_answer() {
    let server = Server::start().await;
    let labels = json!({
        "pod-security.kubernetes.io/warn": "baseline", "pod-security.kubernetes.io/warn-version": "v1.30",
        "pod-security.kubernetes.io/audit": "restricted"
    });
    server.post(NAMESPACES, &namespace("strict", labels)).await.ok(201);
    let warned =
        r#"299 - "would violate PodSecurity \"baseline:v1.30\": host namespaces (hostNetwork=true)""#;
    let mut host = in_strict("host");
    host["spec"]["hostNetwork"] = json!(true);
    let made = server.post(PODS, &host).await;
    assert_eq!((made.status, made.warnings()), (201, vec![warned]));
    assert!(server.post(PODS, &in_strict("plain")).await.warnings().is_empty());

    let mut deployment = crate::server::deployment("web", 1);
    deployment["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    let deployments = "/apis/apps/v1/namespaces/strict/deployments";
    let made = server.post(deployments, &deployment).await;
    assert_eq!((made.status, made.warnings()), (201, vec![warned]));
    let path = format!("{deployments}/web");
    let changed = server.patch(&path, MERGE, &json!({"metadata": {"labels": {"a": "b"}}})).await;
    assert_eq!((changed.status, changed.warnings()), (200, vec![warned]), "each write of the whole warns");
    let status = server.patch(&format!("{path}/status"), MERGE, &json!({"status": {"replicas": 1}})).await;
    assert_eq!((status.status, status.warnings()), (200, vec![]));
    let good = json!({"spec": {"template": {"spec": {"hostNetwork": null}}}});
    let changed = server.patch(&path, MERGE, &good).await;
    assert_eq!((changed.status, changed.warnings()), (200, vec![]));
}

#[tokio::test]
async fn a_stricter_namespace_warns_of_the_pods_that_it_has() {
    let server = Server::start().await;
    server.post(NAMESPACES, &namespace("strict", json!({}))).await.ok(201);
    for name in ["a", "b"] {
        let mut host = in_strict(name);
        host["spec"]["hostNetwork"] = json!(true);
        assert!(server.post(PODS, &host).await.warnings().is_empty());
    }
    server.get(PODS).await.ok(200);
    let path = format!("{NAMESPACES}/strict");
    let enforce =
        |level: &str| json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
    let changed = server.patch(&path, MERGE, &enforce("baseline")).await;
    let warnings = [
        r#"299 - "existing pods in namespace \"strict\" violate the new PodSecurity enforce level \"baseline:latest\"""#,
        r#"299 - "a (and 1 other pod): host namespaces""#,
    ];
    assert_eq!((changed.status, changed.warnings()), (200, warnings.to_vec()));
    let relaxed = server.patch(&path, MERGE, &enforce("privileged")).await;
    assert_eq!((relaxed.status, relaxed.warnings()), (200, vec![]));
}
