//! Evictions of pods, within their disruption budgets.

use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::http::{Answer, MERGE};
use crate::server::{PODS, Server, pod};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

fn eviction(name: &str) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}})
}

async fn evict(server: &Server, name: &str) -> Answer {
    server.post(&format!("{PODS}/{name}/eviction"), &eviction(name)).await
}

/// A pod of the app `a` on a node.
async fn run(server: &Server, name: &str, ready: bool) {
    let mut wanted = pod(name);
    wanted["metadata"]["labels"] = json!({"app": "a"});
    wanted["spec"]["nodeName"] = json!("n");
    server.post(PODS, &wanted).await.ok(201);
    let ready = if ready { "True" } else { "False" };
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}});
    server.patch(&format!("{PODS}/{name}/status"), MERGE, &status).await.ok(200);
}

/// A budget of the app `a` with the status that a controller would have written.
async fn budget(server: &Server, name: &str, spec: Value, allowed: i32, healthy: i32, desired: i32) {
    let mut wanted = json!({"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "a"}}}});
    for (key, value) in spec.as_object().unwrap() {
        wanted["spec"][key] = value.clone();
    }
    let generation = server.post(BUDGETS, &wanted).await.ok(201)["metadata"]["generation"].clone();
    let status = json!({"status": {
        "observedGeneration": generation, "disruptionsAllowed": allowed, "currentHealthy": healthy,
        "desiredHealthy": desired, "expectedPods": healthy,
    }});
    server.patch(&format!("{BUDGETS}/{name}/status"), MERGE, &status).await.ok(200);
}

#[tokio::test]
async fn an_evicted_pod_says_why_it_goes() {
    let server = Server::start().await;
    run(&server, "a", true).await;
    let status = evict(&server, "a").await.ok(201);
    assert_eq!(
        status,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
    );
    let ending = server.get(&format!("{PODS}/a")).await.ok(200);
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    let conditions = ending["status"]["conditions"].as_array().unwrap();
    let told = conditions.iter().find(|condition| condition["type"] == "DisruptionTarget").unwrap();
    assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("EvictionByEvictionAPI")));
    assert_eq!(told["message"], "Eviction API: evicting");
    // One that is going may be evicted again.
    evict(&server, "a").await.ok(201);
    evict(&server, "b").await.fails(404, "NotFound");
}

#[tokio::test]
async fn a_budget_is_spent() {
    let server = Server::start().await;
    run(&server, "a", true).await;
    run(&server, "b", true).await;
    budget(&server, "x", json!({"minAvailable": 1}), 1, 2, 1).await;
    // A dry run changes nothing.
    server.post(&format!("{PODS}/a/eviction?dryRun=All"), &eviction("a")).await.ok(201);
    evict(&server, "a").await.ok(201);
    let spent = server.get(&format!("{BUDGETS}/x")).await.ok(200);
    assert_eq!(spent["status"]["disruptionsAllowed"], 0);
    assert!(spent["status"]["disruptedPods"]["a"].is_string());
    assert_eq!(spent["status"]["conditions"][0]["reason"], "InsufficientPods");
    let answer = evict(&server, "b").await;
    assert!(answer.headers.get(RETRY_AFTER).is_none());
    let status = answer.fails_with(429, "TooManyRequests", REFUSED);
    let cause = json!({
        "reason": "DisruptionBudget",
        "message": "The disruption budget x does not allow evicting pods currently",
    });
    assert_eq!(status["details"], json!({"causes": [cause]}));
    assert!(server.get(&format!("{PODS}/b")).await.ok(200)["metadata"]["deletionTimestamp"].is_null());
}

#[tokio::test]
async fn who_may_not_delete_a_pod_spends_no_budget() {
    let server = Server::start().await;
    run(&server, "a", true).await;
    budget(&server, "x", json!({"minAvailable": 0}), 1, 1, 0).await;
    let path = format!("{PODS}/a/eviction");
    let other = server.client("system:node:other", &["system:nodes"]);
    other.post(&path, &eviction("a")).await.fails_with(403, "Forbidden", "can only delete pods");
    let left = server.get(&format!("{BUDGETS}/x")).await.ok(200);
    assert_eq!(left["status"]["disruptionsAllowed"], 1);
    let pod = server.get(&format!("{PODS}/a")).await.ok(200);
    assert!(pod["metadata"]["deletionTimestamp"].is_null(), "{pod}");
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    assert!(!conditions.iter().any(|one| one["type"] == "DisruptionTarget"), "{pod}");
    server.client("system:node:n", &["system:nodes"]).post(&path, &eviction("a")).await.ok(201);
}

#[tokio::test]
async fn a_budget_that_nobody_has_seen_yet_asks_to_come_back() {
    let server = Server::start().await;
    run(&server, "a", true).await;
    let wanted = json!({"metadata": {"name": "x"}, "spec": {"minAvailable": 1, "selector": {}}});
    server.post(BUDGETS, &wanted).await.ok(201);
    let answer = evict(&server, "a").await;
    assert_eq!(answer.headers[RETRY_AFTER], "10");
    let status = answer.fails_with(429, "TooManyRequests", REFUSED);
    let text = "The disruption budget x is still being processed by the server.";
    assert_eq!(status["details"]["causes"][0]["message"], text);
    assert_eq!(status["details"]["retryAfterSeconds"], 10);
}

#[tokio::test]
async fn two_budgets_are_one_too_many() {
    let server = Server::start().await;
    run(&server, "a", true).await;
    budget(&server, "x", json!({"minAvailable": 0}), 1, 1, 0).await;
    budget(&server, "y", json!({"minAvailable": 0}), 1, 1, 0).await;
    let answer = evict(&server, "a").await;
    assert_eq!(answer.status, 500);
    let text =
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    assert_eq!(
        serde_json::from_slice::<Value>(&answer.body).unwrap(),
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text, "code": 500})
    );
}

#[tokio::test]
async fn pods_that_do_not_serve_are_not_counted() {
    let server = Server::start().await;
    // Enough others are healthy.
    run(&server, "a", false).await;
    budget(&server, "x", json!({"minAvailable": 1}), 0, 1, 1).await;
    evict(&server, "a").await.ok(201);
    // Nobody is: only a budget that always allows it lets them go.
    run(&server, "b", false).await;
    let status = json!({"status": {"currentHealthy": 0}});
    server.patch(&format!("{BUDGETS}/x/status"), MERGE, &status).await.ok(200);
    let status = evict(&server, "b").await.fails_with(429, "TooManyRequests", REFUSED);
    let text = "The disruption budget x needs 1 healthy pods and has 0 currently";
    assert_eq!(status["details"]["causes"][0]["message"], text);
    let always = json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}});
    server.patch(&format!("{BUDGETS}/x"), MERGE, &always).await.ok(200);
    evict(&server, "b").await.ok(201);
    // Pending ones go without being asked for, and at once.
    let mut waiting = pod("c");
    waiting["metadata"]["labels"] = json!({"app": "a"});
    server.post(PODS, &waiting).await.ok(201);
    evict(&server, "c").await.ok(201);
    server.get(&format!("{PODS}/c")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let server = Server::start().await;
    run(&server, "a", true).await;
    let path = format!("{PODS}/a/eviction");
    let text = "name in URL does not match name in Eviction object";
    server.post(&path, &eviction("b")).await.fails_with(400, "BadRequest", text);
    let mut elsewhere = eviction("a");
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    server.post(&path, &elsewhere).await.fails_with(400, "BadRequest", "does not match the namespace");
    let mut other = eviction("a");
    other["deleteOptions"] = json!({"preconditions": {"uid": "other"}});
    let status =
        server.post(&path, &other).await.fails_with(409, "Conflict", "the UID in the precondition (other)");
    assert_eq!(status["details"], json!({"name": "a", "kind": "Pod"}));
    other["deleteOptions"] = json!({"preconditions": {"resourceVersion": "1"}});
    server.post(&path, &other).await.fails_with(
        409,
        "Conflict",
        "the ResourceVersion in the precondition (1)",
    );
    server.get(&path).await.fails(405, "MethodNotAllowed");
    let resources = server.get("/api/v1").await.ok(200);
    let found = resources["resources"].as_array().unwrap().iter().find(|one| one["name"] == "pods/eviction");
    assert_eq!(
        *found.unwrap(),
        json!({"name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1",
               "kind": "Eviction", "verbs": ["create"]})
    );
}
