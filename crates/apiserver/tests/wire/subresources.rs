//! Subresources: status, scale, binding, finalize, and those that are a node's.

use http::Method;
use serde_json::json;

use crate::http::{JSON_PATCH, MERGE, STRATEGIC};
use crate::node;
use crate::server::{DEPLOYMENTS, PODS, Server, deployment, pod};

#[tokio::test]
async fn a_status_is_written_apart() {
    let server = Server::start().await;
    let made = server.post(DEPLOYMENTS, &deployment("a", 1)).await.ok(201);
    let path = format!("{DEPLOYMENTS}/a/status");
    let mut wanted = deployment("a", 9);
    wanted["status"] = json!({"replicas": 4, "observedGeneration": 1});
    wanted["metadata"]["labels"] = json!({"x": "y"});
    let now = server.put(&path, &wanted).await.ok(200);
    assert_eq!((&now["spec"], &now["status"]["replicas"]), (&made["spec"], &json!(4)));
    assert_eq!(now["metadata"]["labels"], made["metadata"]["labels"]);
    assert_eq!(now["metadata"]["generation"], 1);
    let now = server.patch(&path, MERGE, &json!({"status": {"replicas": 5}, "spec": {"replicas": 8}})).await;
    let now = now.ok(200);
    assert_eq!((&now["spec"]["replicas"], &now["status"]["replicas"]), (&json!(1), &json!(5)));
    assert_eq!(server.get(&path).await.ok(200), now);
    let stale = json!({"metadata": {"resourceVersion": "1"}, "status": {"replicas": 6}});
    server.patch(&path, MERGE, &stale).await.fails(409, "Conflict");
    // Kinds without a status have none.
    server.get("/api/v1/namespaces/default/configmaps/a/status").await.fails(404, "NotFound");
}

#[tokio::test]
async fn a_scale_is_read_and_written() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, &deployment("a", 2)).await.ok(201);
    let path = format!("{DEPLOYMENTS}/a/scale");
    let mut scale = server.get(&path).await.ok(200);
    assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    assert_eq!(scale["spec"], json!({"replicas": 2}));
    assert_eq!(scale["status"]["selector"], "app=a");
    scale["spec"]["replicas"] = json!(3);
    let now = server.put(&path, &scale).await.ok(200);
    assert_eq!(now["spec"]["replicas"], 3);
    assert_eq!(server.get(&format!("{DEPLOYMENTS}/a")).await.ok(200)["spec"]["replicas"], 3);
    server.put(&path, &scale).await.fails(409, "Conflict");
    for (r#type, patch, replicas) in [
        (MERGE, json!({"spec": {"replicas": 4}}), 4),
        (STRATEGIC, json!({"spec": {"replicas": 5}}), 5),
        (JSON_PATCH, json!([{"op": "replace", "path": "/spec/replicas", "value": 6}]), 6),
    ] {
        assert_eq!(server.patch(&path, r#type, &patch).await.ok(200)["spec"]["replicas"], replicas);
    }
    let answer = server.patch(&path, MERGE, &json!({"spec": {"replicas": -1}})).await;
    answer.invalid(&[("spec.replicas", "FieldValueInvalid")]);
    server.patch(&path, MERGE, &json!({"spec": {"replicas": "many"}})).await.fails(400, "BadRequest");
    server.get(&format!("{DEPLOYMENTS}/b/scale")).await.fails(404, "NotFound");
    server.get(&format!("{PODS}/a/scale")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let path = format!("{PODS}/a/binding");
    let binding =
        |target| json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": target});
    for (target, text) in [(json!({}), "target.name"), (json!({"kind": "Pod", "name": "x"}), "target.kind")] {
        let answer = server.post(&path, &binding(target)).await;
        assert!(matches!(answer.status, 400 | 422), "{answer:?}");
        assert!(answer.text().contains(text), "{answer:?}");
    }
    let to = binding(json!({"kind": "Node", "name": "n"}));
    let status = server.post(&path, &to).await.ok(201);
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    let status = server.post(&path, &to).await.fails_with(409, "Conflict", "already assigned to node");
    assert_eq!(status["details"], json!({"name": "a", "kind": "pods/binding"}));
    server.post(&format!("{PODS}/b/binding"), &binding(json!({"name": "n"}))).await.fails(404, "NotFound");
    assert_eq!(server.get(&format!("{PODS}/a")).await.ok(200)["spec"]["nodeName"], "n");
}

#[tokio::test]
async fn a_namespace_is_finalized() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/a";
    server.post("/api/v1/namespaces", &json!({"metadata": {"name": "a"}})).await.ok(201);
    let going = server.delete(path).await.ok(200);
    assert_eq!((&going["kind"], &going["status"]["phase"]), (&json!("Namespace"), &json!("Terminating")));
    let status = server
        .post("/api/v1/namespaces/a/configmaps", &json!({"metadata": {"name": "x"}}))
        .await
        .fails_with(403, "Forbidden", "being terminated");
    assert_eq!(status["details"]["causes"][0]["reason"], "NamespaceTerminating");
    server.put(&format!("{path}/finalize"), &json!({"metadata": {"name": "a"}})).await.ok(200);
    server.get(path).await.fails(404, "NotFound");
}

#[tokio::test]
async fn exec_asks_for_an_upgrade() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let path = format!("{PODS}/a/exec?command=ls&stdout=true");
    for method in [Method::GET, Method::POST] {
        let answer = server.call(method, &path).send().await;
        let status = answer.fails_with(400, "BadRequest", "Upgrade request required");
        assert_eq!(status["message"], "Upgrade request required");
    }
}

#[tokio::test]
async fn ephemeral_containers_are_added_and_stay() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let path = format!("{PODS}/a/ephemeralcontainers");
    let patch = |container: serde_json::Value| json!({"spec": {"ephemeralContainers": [container]}});
    let debugger = json!({"name": "d", "image": "i", "targetContainerName": "c", "tty": true});
    let before = server.get(&path).await.ok(200);
    let now = server.patch(&path, STRATEGIC, &patch(debugger)).await.ok(200);
    assert_eq!((&now["kind"], &now["metadata"]["generation"]), (&json!("Pod"), &json!(2)));
    let added = &now["spec"]["ephemeralContainers"][0];
    assert_eq!((&added["name"], &added["imagePullPolicy"]), (&json!("d"), &json!("Always")));
    assert_eq!(now["spec"]["containers"], before["spec"]["containers"]);
    // Nothing else is written.
    let mut other = now.clone();
    other["spec"]["nodeName"] = json!("n");
    other["metadata"]["labels"] = json!({"a": "b"});
    let same = server.put(&path, &other).await.ok(200);
    assert_eq!((&same["spec"], &same["metadata"]["labels"]), (&now["spec"], &now["metadata"]["labels"]));

    let forbidden = [("spec.ephemeralContainers", "FieldValueForbidden")];
    let status = server.patch(&path, STRATEGIC, &patch(json!({"name": "d", "image": "j"}))).await;
    let status = status.invalid(&forbidden);
    let text = "existing ephemeral containers \"d\" may not be changed";
    assert!(status["message"].as_str().unwrap().contains(text), "{status}");
    server.patch(&path, MERGE, &patch(json!({"name": "e", "image": "i"}))).await.invalid(&forbidden);
    // What a patch adds to a list comes first.
    let wrong =
        json!({"name": "c", "image": "i", "targetContainerName": "x", "ports": [{"containerPort": 1}]});
    server.patch(&path, STRATEGIC, &patch(wrong)).await.invalid(&[
        ("spec.ephemeralContainers[0].name", "FieldValueDuplicate"),
        ("spec.ephemeralContainers[0].targetContainerName", "FieldValueNotFound"),
        ("spec.ephemeralContainers[0].ports", "FieldValueForbidden"),
    ]);
    server.post(&path, &now).await.fails(405, "MethodNotAllowed");
}

#[tokio::test]
async fn a_pod_without_a_node_has_said_nothing() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let answer = server.get(&format!("{PODS}/a/log")).await;
    assert_eq!((answer.status, answer.text()), (204, ""));
    server.get(&format!("{PODS}/b/log")).await.fails(404, "NotFound");
    server.get(&format!("{PODS}/a/log?tailLines=few")).await.fails_with(400, "BadRequest", "few");
}

#[tokio::test]
async fn logs_come_as_they_are_asked_for() {
    let server = Server::start().await;
    node::with_pod(&server).await;
    let path = format!("{PODS}/a/log");
    let query = "follow=true&tailLines=5&limitBytes=9&timestamps=true&sinceTime=2026-01-01T00:00:00Z";
    for accept in ["*/*", "text/plain"] {
        let answer = server.get_as(&format!("{path}?{query}"), accept).await;
        assert_eq!((answer.status, &*answer.content_type()), (200, "text/plain"), "{accept}");
        let (container, options) = answer.text().split_once(' ').unwrap();
        assert_eq!(container, "c");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(options).unwrap(),
            json!({"follow": true, "tailLines": 5, "limitBytes": 9, "timestamps": true, "stream": "All",
                   "sinceTime": "2026-01-01T00:00:00Z"})
        );
    }
    let text = "previous terminated container \"c\" in pod \"a\" not found";
    server.get(&format!("{path}?previous=true")).await.fails_with(400, "BadRequest", text);
    let text = "container x is not valid for pod a";
    server.get(&format!("{path}?container=x")).await.fails_with(400, "BadRequest", text);
    let status = server
        .get(&format!("{path}?tailLines=-1&stream=Stdout"))
        .await
        .invalid(&[("tailLines", "FieldValueInvalid"), ("[]", "FieldValueForbidden")]);
    assert!(status["message"].as_str().unwrap().starts_with("PodLogOptions \"a\" is invalid: [tailLines: "));
    assert_eq!(
        (&status["details"]["name"], &status["details"]["kind"]),
        (&json!("a"), &json!("PodLogOptions"))
    );
}
