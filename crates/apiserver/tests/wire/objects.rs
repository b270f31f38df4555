//! Create, get and delete: their codes, and what a Status says of a failure.

use http::Method;
use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::http::{JSON, MERGE};
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, PODS, Server, config_map, deployment, pod};

#[tokio::test]
async fn an_object_is_created_once() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    assert_eq!((&made["kind"], &made["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    assert_eq!(made["metadata"]["namespace"], "default");
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        assert!(made["metadata"][field].is_string(), "{field}: {made}");
    }
    let status = server.post(CONFIG_MAPS, &config_map("a")).await.fails(409, "AlreadyExists");
    assert_eq!(status["message"], r#"configmaps "a" already exists"#);
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps"}));
    assert_eq!(server.get(&format!("{CONFIG_MAPS}/a")).await.ok(200), made);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let status = server.get(&format!("{DEPLOYMENTS}/a")).await.fails(404, "NotFound");
    assert_eq!(status["message"], r#"deployments.apps "a" not found"#);
    assert_eq!(status["details"], json!({"name": "a", "group": "apps", "kind": "deployments"}));
    server.delete(&format!("{PODS}/a")).await.fails(404, "NotFound");
    server.patch(&format!("{PODS}/a"), MERGE, &json!({})).await.fails(404, "NotFound");
    // No object can have such a name.
    server.get(&format!("{PODS}/..")).await.fails(404, "NotFound");
    server.get(&format!("{PODS}/a%2Fb")).await.fails(404, "NotFound");
    let status =
        server.post("/api/v1/namespaces/no/configmaps", &config_map("a")).await.fails(404, "NotFound");
    assert_eq!(status["message"], r#"namespaces "no" not found"#);
}

#[tokio::test]
async fn unknown_resources_are_not_found() {
    let server = Server::start().await;
    for path in [
        "/api/v2",
        "/api/v1/things",
        "/api/v1/namespaces/default/things",
        "/api/v1/namespaces/default/things/a",
        "/api/v1/namespaces/default/pods/a/things",
        // Scopes that are not the resource's.
        "/api/v1/namespaces/default/nodes",
        "/api/v1/pods/a",
    ] {
        let status = server.get(path).await.fails(404, "NotFound");
        assert_eq!(status["message"], "the server could not find the requested resource", "{path}");
    }
    for path in [
        "/nothing",
        "/api/v1/namespaces/default/pods/a/status/more",
        "/apis/no.such.group",
        "/apis/apps/v9",
        "/apis/apps/v9/deployments",
        "/apis/no.such.group/v1/things",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    server.post("/api/v1/pods", &pod("a")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn methods_that_a_path_does_not_take() {
    let server = Server::start().await;
    let one = format!("{CONFIG_MAPS}/a");
    let cases = [
        (Method::POST, one.as_str()),
        (Method::PUT, CONFIG_MAPS),
        (Method::PATCH, CONFIG_MAPS),
        (Method::POST, "/version"),
        (Method::DELETE, "/api"),
        (Method::PUT, "/apis/apps/v1"),
        (Method::POST, "/livez"),
        (Method::DELETE, "/api/v1/namespaces"),
        (Method::DELETE, "/api/v1/namespaces/default/pods/a/status"),
        (Method::GET, "/api/v1/namespaces/default/pods/a/binding"),
        (Method::POST, "/api/v1/namespaces/default/pods/a/status"),
        (Method::PUT, "/api/v1/namespaces/default/pods/a/log"),
        (Method::TRACE, one.as_str()),
    ];
    for (method, path) in cases {
        let answer = server.call(method.clone(), path).body(JSON, config_map("a").to_string()).send().await;
        assert_eq!(answer.status, 405, "{method} {path}: {:?}", answer.body);
        answer.fails(405, "MethodNotAllowed");
    }
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let server = Server::start().await;
    let mut wrong = deployment("a", -1);
    wrong["spec"]["template"]["spec"]["containers"][0]["image"] = json!("");
    let status = server.post(DEPLOYMENTS, &wrong).await.invalid(&[
        ("spec.replicas", "FieldValueInvalid"),
        ("spec.template.spec.containers[0].image", "FieldValueRequired"),
    ]);
    assert!(
        status["message"].as_str().unwrap().starts_with(r#"Deployment.apps "a" is invalid: ["#),
        "{status}"
    );
    assert_eq!(status["details"]["group"], "apps");
    assert_eq!(status["details"]["kind"], "Deployment");
    assert_eq!(status["details"]["name"], "a");
    let cause = &status["details"]["causes"][0];
    assert!(cause["message"].as_str().unwrap().starts_with("Invalid value: -1: "), "{cause}");
}

#[tokio::test]
async fn names_follow_their_rules() {
    let server = Server::start().await;
    let service = |name: &str| json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    let bare = |name: &str| json!({"metadata": {"name": name}});
    let long = "x".repeat(254);
    let cases: Vec<(&str, Value)> = vec![
        (CONFIG_MAPS, bare("Upper")),
        (CONFIG_MAPS, bare("under_score")),
        (CONFIG_MAPS, bare("-a")),
        (CONFIG_MAPS, bare("a..b")),
        (CONFIG_MAPS, bare(&long)),
        (CONFIG_MAPS, bare("a/b")),
        ("/api/v1/namespaces", bare("a.b")),
        ("/api/v1/namespaces/default/services", service("1a")),
    ];
    for (path, body) in cases {
        let status = server.post(path, &body).await.invalid(&[("metadata.name", "FieldValueInvalid")]);
        assert!(status["message"].as_str().unwrap().contains("metadata.name: Invalid value"), "{status}");
    }
    let status = server.post(CONFIG_MAPS, &json!({"metadata": {}})).await;
    status.invalid(&[("metadata.name", "FieldValueRequired")]);
    let labelled = json!({"metadata": {"name": "a", "labels": {"a b": "c", "d": "e f"}}});
    server.post(CONFIG_MAPS, &labelled).await.invalid(&[("metadata.labels", "FieldValueInvalid")]);
}

#[tokio::test]
async fn a_body_must_fit_its_path() {
    let server = Server::start().await;
    let cases = [
        (json!({"kind": "Secret", "metadata": {"name": "a"}}), "Secret"),
        (
            json!({"apiVersion": "v2", "metadata": {"name": "a"}}),
            r#"no kind "ConfigMap" is registered for version "v2" in scheme"#,
        ),
        (json!({"metadata": {"name": "a", "namespace": "other"}}), "does not match the namespace"),
        (json!({"metadata": {"name": "a", "resourceVersion": "5"}}), "resourceVersion"),
    ];
    for (body, text) in cases {
        server.post(CONFIG_MAPS, &body).await.fails_with(400, "BadRequest", text);
    }
    assert_eq!(server.get(&format!("{CONFIG_MAPS}/a")).await.status, 404);
}

#[tokio::test]
async fn a_dry_run_answers_and_writes_nothing() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}?dryRun=All");
    server.post(&path, &config_map("a")).await.ok(201);
    server.get(&format!("{CONFIG_MAPS}/a")).await.fails(404, "NotFound");
    server
        .post(&format!("{CONFIG_MAPS}?dryRun=Some"), &config_map("a"))
        .await
        .fails_with(422, "Invalid", "dryRun");
}

#[tokio::test]
async fn a_deleted_object_is_answered_by_a_status() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let status = server.delete(&format!("{CONFIG_MAPS}/a")).await.ok(200);
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    let uid = &made["metadata"]["uid"];
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps", "uid": uid}));
}

#[tokio::test]
async fn a_pod_on_a_node_has_its_grace() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let binding = json!({"metadata": {"name": "a"}, "target": {"name": "n"}});
    server.post(&format!("{PODS}/a/binding"), &binding).await.ok(201);
    let going = server.delete(&format!("{PODS}/a?gracePeriodSeconds=20")).await.ok(200);
    assert_eq!(
        (&going["kind"], &going["metadata"]["deletionGracePeriodSeconds"]),
        (&json!("Pod"), &json!(20))
    );
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
    let status = server.call(Method::DELETE, &format!("{PODS}/a")).json(&options).send().await.ok(200);
    assert_eq!(status["status"], "Success");
    server.get(&format!("{PODS}/a")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn preconditions_of_a_deletion_hold() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    for wrong in [json!({"uid": "other"}), json!({"resourceVersion": "1"})] {
        let answer = server.call(Method::DELETE, &path).json(&json!({"preconditions": wrong})).send().await;
        answer.fails_with(409, "Conflict", "Precondition failed");
    }
    let right =
        json!({"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]});
    server.call(Method::DELETE, &path).json(&json!({"preconditions": right})).send().await.ok(200);
}

#[tokio::test]
async fn wrong_options_of_a_deletion_are_refused() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    for (query, text) in [
        ("propagationPolicy=Sideways", "propagationPolicy"),
        ("orphanDependents=true&propagationPolicy=Orphan", "cannot be both set"),
        ("dryRun=Maybe", "dryRun"),
    ] {
        server.delete(&format!("{path}?{query}")).await.fails_with(422, "Invalid", text);
    }
    server.delete(&format!("{path}?gracePeriodSeconds=soon")).await.fails_with(400, "BadRequest", "soon");
    for body in ["{", "[]", r#"{"gracePeriodSeconds": "x"}"#, r#"{"preconditions": 5}"#] {
        let answer = server.call(Method::DELETE, &path).body(JSON, body).send().await;
        answer.fails(400, "BadRequest");
    }
    server.get(&path).await.ok(200);
}

#[tokio::test]
async fn a_finalizer_keeps_an_object() {
    let server = Server::start().await;
    let mut held = config_map("a");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(CONFIG_MAPS, &held).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    let going = server.delete(&path).await.ok(200);
    assert_eq!(going["kind"], "ConfigMap");
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    server.patch(&path, MERGE, &json!({"metadata": {"finalizers": null}})).await.ok(200);
    server.get(&path).await.fails(404, "NotFound");
}

#[tokio::test]
async fn a_collection_is_deleted_by_its_selector() {
    let server = Server::start().await;
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let mut body = config_map(name);
        body["metadata"]["labels"] = json!({"app": app});
        server.post(CONFIG_MAPS, &body).await.ok(201);
    }
    let list = server.delete(&format!("{CONFIG_MAPS}?labelSelector=app%3Dx")).await.ok(200);
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let left = server.get(CONFIG_MAPS).await.ok(200);
    let names: Vec<_> =
        left["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["c"]);
    server.delete(&format!("{CONFIG_MAPS}?labelSelector=%21%21")).await.fails(400, "BadRequest");
}

#[tokio::test]
async fn a_head_has_no_body() {
    let server = Server::start().await;
    let answer = server.call(Method::HEAD, CONFIG_MAPS).header(ACCEPT, JSON).send().await;
    assert_eq!((answer.status, answer.body.len(), answer.content_type().as_str()), (200, 0, JSON));
    assert_eq!(server.call(Method::HEAD, "/nothing").send().await.status, 404);
}
