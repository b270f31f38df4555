//! Update: of what is there, and of what is not.

use serde_json::json;

use crate::server::{CONFIG_MAPS, DEPLOYMENTS, PODS, Server, config_map, deployment, pod};

#[tokio::test]
async fn an_update_of_an_old_state_conflicts() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let first = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let mut second = first.clone();
    second["data"] = json!({"k": "w"});
    let changed = server.put(&path, &second).await.ok(200);
    assert_ne!(changed["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let status = server.put(&path, &first).await.fails_with(409, "Conflict", "the object has been modified");
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps"}));
    // Who names no revision takes what is there.
    server.put(&path, &config_map("a")).await.ok(200);
    let mut other = config_map("a");
    other["metadata"]["uid"] = json!("5b0c1fd4-2d5c-4b7e-9b5d-0f5a1d1f0a11");
    server.put(&path, &other).await.fails_with(409, "Conflict", "UID in precondition");
}

#[tokio::test]
async fn an_update_must_be_of_its_path() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    server.put(&path, &config_map("b")).await.fails_with(
        400,
        "BadRequest",
        "does not match the name on the URL",
    );
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "other"}});
    server.put(&path, &elsewhere).await.fails_with(400, "BadRequest", "namespace");
    server.put(&path, &pod("a")).await.fails_with(400, "BadRequest", "Pod");
}

#[tokio::test]
async fn what_may_not_change_is_refused() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, &deployment("a", 1)).await.ok(201);
    let mut other = deployment("a", 1);
    other["spec"]["selector"]["matchLabels"] = json!({"app": "b"});
    other["spec"]["template"]["metadata"]["labels"] = json!({"app": "b"});
    let answer = server.put(&format!("{DEPLOYMENTS}/a"), &other).await;
    answer.invalid(&[("spec.selector", "FieldValueInvalid")]);
    server.post(PODS, &pod("a")).await.ok(201);
    let mut other = pod("a");
    other["spec"]["containers"][0]["name"] = json!("d");
    server.put(&format!("{PODS}/a"), &other).await.fails_with(422, "Invalid", "spec");
}

#[tokio::test]
async fn the_server_keeps_what_is_its_own() {
    let server = Server::start().await;
    let made = server.post(DEPLOYMENTS, &deployment("a", 1)).await.ok(201);
    let mut wanted = deployment("a", 2);
    wanted["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    wanted["metadata"]["generation"] = json!(99);
    wanted["status"] = json!({"replicas": 7});
    let now = server.put(&format!("{DEPLOYMENTS}/a"), &wanted).await.ok(200);
    assert_eq!(now["metadata"]["creationTimestamp"], made["metadata"]["creationTimestamp"]);
    assert_eq!(now["metadata"]["generation"], 2);
    assert_eq!(now["status"]["replicas"], made["status"]["replicas"]);
}

#[tokio::test]
async fn an_update_creates_where_upstream_does() {
    let server = Server::start().await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease = |holder: &str| json!({"metadata": {"name": "a"}, "spec": {"holderIdentity": holder}});
    let made = server.put(&format!("{leases}/a"), &lease("me")).await.ok(201);
    assert_eq!(made["spec"]["holderIdentity"], "me");
    assert!(made["metadata"]["uid"].is_string());
    // One that is there is replaced only by who has seen it.
    let blind = server.put(&format!("{leases}/a"), &lease("you")).await;
    blind.invalid(&[("metadata.resourceVersion", "FieldValueInvalid")]);
    let mut seen = lease("you");
    seen["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    server.put(&format!("{leases}/a"), &seen).await.ok(200);
    for (path, body) in [
        ("/api/v1/namespaces/default/endpoints/a", json!({"metadata": {"name": "a"}})),
        (
            "/api/v1/namespaces/default/services/a",
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
        ),
    ] {
        server.put(path, &body).await.ok(201);
        server.get(path).await.ok(200);
    }
    // The object that a uid means is gone for good.
    let mut gone = lease("me");
    gone["metadata"]["uid"] = json!("5b0c1fd4-2d5c-4b7e-9b5d-0f5a1d1f0a11");
    gone["metadata"]["name"] = json!("b");
    server.put(&format!("{leases}/b"), &gone).await.fails_with(409, "Conflict", "UID in precondition");
    // Its rules are those of a new object, and its namespace must be there.
    let wrong = json!({"metadata": {"name": "c"}, "spec": {"leaseDurationSeconds": 0}});
    server.put(&format!("{leases}/c"), &wrong).await.fails(422, "Invalid");
    let elsewhere = "/apis/coordination.k8s.io/v1/namespaces/no/leases/a";
    server.put(elsewhere, &lease("me")).await.fails(404, "NotFound");
    // A dry run leaves nothing.
    let empty = json!({"metadata": {"name": "d"}});
    server.put(&format!("{leases}/d?dryRun=All"), &empty).await.ok(201);
    server.get(&format!("{leases}/d")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn an_update_of_nothing_is_not_found_elsewhere() {
    let server = Server::start().await;
    for (path, body) in [
        (format!("{CONFIG_MAPS}/a"), config_map("a")),
        (format!("{PODS}/a"), pod("a")),
        (format!("{DEPLOYMENTS}/a"), deployment("a", 1)),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/a".to_owned(),
            json!({"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [], "ports": []}),
        ),
        (
            "/api/v1/namespaces/default/services/a/status".to_owned(),
            json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
        ),
    ] {
        server.put(&path, &body).await.fails(404, "NotFound");
    }
}
