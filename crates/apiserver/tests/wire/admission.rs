//! What other objects add to a new one and ask of it: priority and runtime classes, limits, quotas, protection.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::{PODS, Server, pod};

const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const RUNTIMES: &str = "/apis/node.k8s.io/v1/runtimeclasses";
const LIMITS: &str = "/api/v1/namespaces/default/limitranges";
const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const SERVICES: &str = "/api/v1/namespaces/default/services";

fn class(name: &str, value: i32, default: bool) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
        "value": value, "globalDefault": default, "preemptionPolicy": "Never",
    })
}

fn with(name: &str, key: &str, value: Value) -> Value {
    let mut pod = pod(name);
    pod["spec"][key] = value;
    pod
}

#[tokio::test]
async fn pods_get_the_priority_of_their_class() {
    let server = Server::start().await;
    let critical = server.get(&format!("{CLASSES}/system-node-critical")).await.ok(200);
    assert_eq!(critical["value"], 2_000_001_000);
    let plain = server.post(PODS, &pod("plain")).await.ok(201);
    assert_eq!(plain["spec"]["priority"], 0);
    assert_eq!(plain["spec"]["preemptionPolicy"], "PreemptLowerPriority");

    server.post(CLASSES, &class("high", 7, false)).await.ok(201);
    let high = server.post(PODS, &with("high", "priorityClassName", json!("high"))).await.ok(201);
    assert_eq!((&high["spec"]["priority"], &high["spec"]["preemptionPolicy"]), (&json!(7), &json!("Never")));
    let none = server.post(PODS, &with("none", "priorityClassName", json!("none"))).await;
    let status = none.fails(403, "Forbidden");
    assert_eq!(status["message"], r#"pods "none" is forbidden: no PriorityClass with name none was found"#);
    let own = server.post(PODS, &with("own", "priority", json!(3))).await.fails(403, "Forbidden");
    assert!(
        own["message"].as_str().unwrap().contains("the integer value of priority (3) must not be provided")
    );

    server.post(CLASSES, &class("default", 5, true)).await.ok(201);
    let status = server.post(CLASSES, &class("second", 5, true)).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"priorityclasses.scheduling.k8s.io "second" is forbidden: PriorityClass default is already marked as default. Only one default can exist"#
    );
    let path = format!("{CLASSES}/high");
    server.patch(&path, MERGE, &json!({"globalDefault": true})).await.fails(403, "Forbidden");
    let path = format!("{CLASSES}/default");
    server.patch(&path, MERGE, &json!({"description": "itself"})).await.ok(200);
    let plain = server.post(PODS, &pod("by-default")).await.ok(201);
    assert_eq!(plain["spec"]["priorityClassName"], "default");
    assert_eq!(plain["spec"]["priority"], 5);
}

#[tokio::test]
async fn runtime_classes_add_overhead_and_nodes() {
    let server = Server::start().await;
    let runtime = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "boxed"}, "handler": "boxed",
        "overhead": {"podFixed": {"memory": "64Mi"}}, "scheduling": {"nodeSelector": {"boxed": "yes"}},
    });
    server.post(RUNTIMES, &runtime).await.ok(201);
    let made = server.post(PODS, &with("a", "runtimeClassName", json!("boxed"))).await.ok(201);
    assert_eq!(made["spec"]["overhead"], json!({"memory": "64Mi"}));
    assert_eq!(made["spec"]["nodeSelector"], json!({"boxed": "yes"}));
    let status = server.post(PODS, &with("b", "runtimeClassName", json!("no"))).await.fails(403, "Forbidden");
    assert_eq!(status["message"], r#"pods "b" is forbidden: pod rejected: RuntimeClass "no" not found"#);
    server.post(PODS, &with("c", "overhead", json!({"memory": "1Mi"}))).await.fails(403, "Forbidden");
}

#[tokio::test]
async fn limit_ranges_fill_in_and_forbid() {
    let server = Server::start().await;
    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"},
        "spec": {"limits": [
            {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}},
            {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}},
        ]},
    });
    server.post(LIMITS, &range).await.ok(201);
    // Limits are read as the server has them at the moment, as upstream's are.
    server.get(LIMITS).await.ok(200);
    let made = server.post(PODS, &pod("a")).await.ok(201);
    let resources = &made["spec"]["containers"][0]["resources"];
    assert_eq!(resources, &json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}));
    assert_eq!(
        made["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    );
    assert_eq!(made["status"]["qosClass"], "Burstable");
    let mut large = pod("b");
    large["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "2"}});
    let status = server.post(PODS, &large).await.fails(403, "Forbidden");
    let message = r#"pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2"#;
    assert_eq!(status["message"], message);
    let status = server.post(CLAIMS, &claim("small", "1Mi")).await.fails(403, "Forbidden");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("minimum storage usage per PersistentVolumeClaim is 1Gi")
    );
}

#[tokio::test]
async fn claims_are_protected() {
    let server = Server::start().await;
    let made = server.post(CLAIMS, &claim("data", "1Gi")).await.ok(201);
    assert_eq!(made["metadata"]["finalizers"], json!(["kubernetes.io/pvc-protection"]));
    let deleted = server.delete(&format!("{CLAIMS}/data")).await.ok(200);
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
}

#[tokio::test]
async fn the_systems_namespaces_may_not_be_deleted() {
    let server = Server::start().await;
    for name in ["default", "kube-system", "kube-public"] {
        let status = server.delete(&format!("/api/v1/namespaces/{name}")).await.fails(403, "Forbidden");
        let message = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
        assert_eq!(status["message"], message);
    }
}

#[tokio::test]
async fn a_missing_namespace_comes_before_a_broken_rule() {
    let server = Server::start().await;
    let broken = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}});
    server.post("/api/v1/namespaces/none/pods", &broken).await.fails(404, "NotFound");
    server.post(PODS, &broken).await.fails(422, "Invalid");
}

#[tokio::test]
async fn quotas_are_charged_before_anything_is_stored() {
    let server = Server::start().await;
    quota(&server, &json!({"pods": "2", "requests.cpu": "1", "count/services": "1"})).await;
    let asking = |name: &str, cpu: &str| {
        let mut pod = pod(name);
        pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": cpu}});
        pod
    };
    let status = server.post(PODS, &pod("silent")).await.fails(403, "Forbidden");
    let message = r#"pods "silent" is forbidden: failed quota: team: must specify requests.cpu for: c"#;
    assert_eq!(status["message"], message);
    server.post(PODS, &asking("a", "600m")).await.ok(201);
    let status = server.post(PODS, &asking("b", "600m")).await.fails(403, "Forbidden");
    let message = r#"pods "b" is forbidden: exceeded quota: team, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"#;
    assert_eq!(status["message"], message);
    server.post(&format!("{PODS}?dryRun=All"), &asking("dry", "100m")).await.ok(201);
    assert_eq!(used(&server).await, json!({"count/services": "0", "pods": "1", "requests.cpu": "600m"}));
    // What is not stored is given back.
    server.post(PODS, &asking("a", "100m")).await.fails(409, "AlreadyExists");
    assert_eq!(used(&server).await, json!({"count/services": "0", "pods": "1", "requests.cpu": "600m"}));
    server.post(PODS, &asking("c", "400m")).await.ok(201);
    server.post(PODS, &asking("d", "0")).await.fails(403, "Forbidden");
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}
        })
    };
    server.post(SERVICES, &service("one")).await.ok(201);
    server.post(SERVICES, &service("two")).await.fails(403, "Forbidden");
    assert_eq!(used(&server).await, json!({"count/services": "1", "pods": "2", "requests.cpu": "1"}));
}

#[tokio::test]
async fn a_service_that_changes_its_type_is_charged() {
    let server = Server::start().await;
    quota(&server, &json!({"services.nodeports": "1"})).await;
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}
        })
    };
    let node_port = json!({"spec": {"type": "NodePort"}});
    for name in ["one", "two"] {
        server.post(SERVICES, &service(name)).await.ok(201);
    }
    server.patch(&format!("{SERVICES}/one"), MERGE, &node_port).await.ok(200);
    let status = server.patch(&format!("{SERVICES}/two"), MERGE, &node_port).await.fails(403, "Forbidden");
    assert!(
        status["message"].as_str().unwrap().contains("exceeded quota: team, requested: services.nodeports=1")
    );
    let two = server.get(&format!("{SERVICES}/two")).await.ok(200);
    assert_eq!(two["spec"]["type"], "ClusterIP");
    assert_eq!(used(&server).await, json!({"services.nodeports": "1"}));
}

#[tokio::test]
async fn many_writers_do_not_pass_a_quota() {
    let server = Server::start().await;
    quota(&server, &json!({"pods": "5"})).await;
    let pods: Vec<Value> = (0..20).map(|i| pod(&format!("p{i}"))).collect();
    let answers = futures::future::join_all(pods.iter().map(|pod| server.post(PODS, pod))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers.iter().filter(|answer| answer.status == 403).count();
    assert_eq!((made, refused), (5, 15));
    assert_eq!(used(&server).await, json!({"pods": "5"}));
}

fn claim(name: &str, size: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    })
}

/// A quota that was counted: nothing is used.
async fn quota(server: &Server, hard: &Value) {
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": hard},
    });
    server.post(QUOTAS, &quota).await.ok(201);
    let used: serde_json::Map<String, Value> =
        hard.as_object().unwrap().keys().map(|resource| (resource.clone(), json!("0"))).collect();
    let status = json!({"status": {"hard": hard, "used": used}});
    server.patch(&format!("{QUOTAS}/team/status"), MERGE, &status).await.ok(200);
    // The server has seen it.
    server.get(QUOTAS).await.ok(200);
}

async fn used(server: &Server) -> Value {
    server.get(&format!("{QUOTAS}/team")).await.ok(200)["status"]["used"].clone()
}
