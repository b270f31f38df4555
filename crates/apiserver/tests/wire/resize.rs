//! Pods get other resources while they run.

use serde_json::{Value, json};

use crate::http::{MERGE, STRATEGIC};
use crate::server::{PODS, Server, pod};

fn asking(name: &str, resources: &Value) -> Value {
    let mut pod = pod(name);
    pod["spec"]["containers"][0]["resources"] = resources.clone();
    pod
}

fn patch(resources: Value) -> Value {
    json!({"spec": {"containers": [{"name": "c", "resources": resources}]}})
}

#[tokio::test]
async fn a_pod_is_resized_through_a_part_of_its_own() {
    let server = Server::start().await;
    let made = server.post(PODS, &asking("a", &json!({"requests": {"cpu": "100m"}}))).await.ok(201);
    assert_eq!(made["metadata"]["generation"], 1);
    let more = patch(json!({"requests": {"cpu": "200m"}, "limits": {"memory": "64Mi"}}));
    let path = format!("{PODS}/a");
    server.patch(&path, STRATEGIC, &more).await.fails_with(
        422,
        "Invalid",
        "pod updates may not change fields",
    );
    let resize = format!("{path}/resize");
    let resized = server.patch(&resize, STRATEGIC, &more).await.ok(200);
    // What is limited and not asked for is asked for, as in a new pod.
    let resources = json!({"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}});
    assert_eq!(resized["spec"]["containers"][0]["resources"], resources);
    assert_eq!(resized["metadata"]["generation"], 2);
    let owners = resized["metadata"]["managedFields"].as_array().unwrap();
    assert!(owners.iter().any(|owner| owner["subresource"] == "resize"), "{owners:?}");
    assert_eq!(server.get(&resize).await.ok(200)["kind"], "Pod");

    // Whatever else is sent stays as it is.
    let mut whole = resized.clone();
    whole["spec"]["containers"][0]["image"] = json!("other");
    whole["metadata"]["labels"] = json!({"a": "b"});
    whole["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("300m");
    let resized = server.put(&resize, &whole).await.ok(200);
    assert_eq!(resized["spec"]["containers"][0]["image"], "i");
    assert_eq!(resized["spec"]["containers"][0]["resources"]["requests"]["cpu"], "300m");
    assert!(resized["metadata"].get("labels").is_none(), "{resized}");
    assert_eq!(resized["metadata"]["generation"], 3);
    let same = server.put(&resize, &resized).await.ok(200);
    assert_eq!(same["metadata"]["generation"], 3, "nothing changes");
}

#[tokio::test]
async fn a_resize_that_breaks_rules_is_refused() {
    let server = Server::start().await;
    server.post(PODS, &asking("a", &json!({"limits": {"cpu": "1", "memory": "1Gi"}}))).await.ok(201);
    let resize = format!("{PODS}/a/resize");
    let status = server
        .patch(&resize, STRATEGIC, &patch(json!({"requests": {"cpu": "500m"}})))
        .await
        .fails(422, "Invalid");
    assert_eq!(
        status["message"],
        "Pod \"a\" is invalid: spec: Invalid value: \"Guaranteed\": Pod QOS Class may not change as a result of \
         resizing"
    );
    let status = server
        .patch(&resize, STRATEGIC, &patch(json!({"limits": {"ephemeral-storage": "1Gi"}})))
        .await
        .fails(422, "Invalid");
    assert_eq!(
        status["message"],
        "Pod \"a\" is invalid: spec: Forbidden: only cpu and memory resources are mutable"
    );
    let gone = json!({"limits": {"cpu": null}});
    let refusal = "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed";
    server.patch(&resize, STRATEGIC, &patch(gone)).await.fails_with(422, "Invalid", refusal);
    let running = json!({"status": {"containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": true,
        "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}});
    server.patch(&format!("{PODS}/a/status"), MERGE, &running).await.ok(200);
    let more = patch(json!({"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}));
    let refusal = "spec: Forbidden: Pod running on node without support for resize";
    server.patch(&resize, STRATEGIC, &more).await.fails_with(422, "Invalid", refusal);
    server.patch(&format!("{PODS}/b/resize"), STRATEGIC, &more).await.fails(404, "NotFound");
}

#[tokio::test]
async fn limits_and_quotas_count_when_a_pod_is_resized() {
    let server = Server::start().await;
    let range =
        json!({"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}});
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "900m"}}});
    server
        .post(PODS, &asking("a", &json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}})))
        .await
        .ok(201);
    server.post("/api/v1/namespaces/default/limitranges", &range).await.ok(201);
    let quotas = "/api/v1/namespaces/default/resourcequotas";
    server.post(quotas, &quota).await.ok(201);
    let used = json!({"status": {"hard": {"requests.cpu": "900m"}, "used": {"requests.cpu": "100m"}}});
    server.patch(&format!("{quotas}/q/status"), MERGE, &used).await.ok(200);
    server.get("/api/v1/namespaces/default/limitranges").await.ok(200);
    server.get(quotas).await.ok(200);
    let resize = format!("{PODS}/a/resize");
    let wide = patch(json!({"limits": {"cpu": "2"}}));
    let refusal = "maximum cpu usage per Container is 1, but limit is 2";
    server.patch(&resize, STRATEGIC, &wide).await.fails_with(403, "Forbidden", refusal);
    let much = patch(json!({"requests": {"cpu": "950m"}}));
    let refusal = "exceeded quota: q, requested: requests.cpu=850m, used: requests.cpu=100m, limited: requests.cpu=900m";
    server.patch(&resize, STRATEGIC, &much).await.fails_with(403, "Forbidden", refusal);
    server.patch(&resize, STRATEGIC, &patch(json!({"requests": {"cpu": "600m"}}))).await.ok(200);
    assert_eq!(server.get(&format!("{quotas}/q")).await.ok(200)["status"]["used"]["requests.cpu"], "600m");
}
