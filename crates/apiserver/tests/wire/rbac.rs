//! Roles grant what they say, where they are bound, and nobody grants more than they have.

use http::Method;
use serde_json::{Value, json};

use crate::http::{Client, MERGE, PATIENCE};
use crate::server::{CONFIG_MAPS, PODS, Server, config_map};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";

pub(crate) fn role(name: &str, rules: Value) -> Value {
    json!({"metadata": {"name": name}, "rules": rules})
}

pub(crate) fn binding(name: &str, kind: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "User", "name": user}],
    })
}

/// Asks until the answer has this status: what was written shows in decisions when it has come back from the store.
pub(crate) async fn until(client: &Client, path: &str, status: u16) {
    let there = async {
        while client.get(path).await.status != status {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("{path}: never {status}"));
}

#[tokio::test]
async fn a_role_grants_what_it_says_where_it_is_bound() {
    let server = Server::start().await;
    let jane = server.client("jane", &["dev"]);
    jane.get(PODS).await.fails(403, "Forbidden");
    let rules = json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]);
    server.post(ROLES, &role("reader", rules)).await.ok(201);
    server.post(BINDINGS, &binding("jane", "Role", "reader", "jane")).await.ok(201);
    until(&jane, PODS, 200).await;
    jane.get(&format!("{PODS}/x")).await.fails(404, "NotFound");
    jane.get(&format!("{PODS}/x/log")).await.fails(404, "NotFound");
    jane.get("/api/v1/pods").await.fails_with(403, "Forbidden", "at the cluster scope");
    jane.get("/api/v1/namespaces/kube-system/pods").await.fails(403, "Forbidden");
    jane.get(&format!("{PODS}?watch=true")).await.fails_with(403, "Forbidden", "cannot watch resource");
    jane.delete(&format!("{PODS}/x")).await.fails(403, "Forbidden");
    server.client("joe", &["dev"]).get(PODS).await.fails(403, "Forbidden");

    server.delete(&format!("{ROLES}/reader")).await.ok(200);
    until(&jane, PODS, 403).await;
    let status = jane.get(PODS).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default": RBAC: role.rbac.authorization.k8s.io "reader" not found"#
    );
}

#[tokio::test]
async fn a_name_in_a_rule_is_that_of_the_object_or_of_the_selector() {
    let server = Server::start().await;
    let jane = server.client("jane", &[]);
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"],
                        "resourceNames": ["a"]}]);
    server.post(ROLES, &role("reader", rules)).await.ok(201);
    server.post(BINDINGS, &binding("jane", "Role", "reader", "jane")).await.ok(201);
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    until(&jane, &format!("{CONFIG_MAPS}/a"), 200).await;
    jane.get(&format!("{CONFIG_MAPS}/b")).await.fails(403, "Forbidden");
    jane.get(CONFIG_MAPS).await.fails(403, "Forbidden");
    let one = jane.get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Da")).await.ok(200);
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    let other = jane.get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Db")).await;
    other.fails_with(403, "Forbidden", r#"configmaps "b" is forbidden"#);
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let server = Server::start().await;
    let jane = server.client("jane", &[]);
    let rules = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["get", "list", "create", "update", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    ]);
    let cluster_roles = format!("{RBAC}/clusterroles");
    server.post(&cluster_roles, &role("granter", rules)).await.ok(201);
    let bound = binding("jane", "ClusterRole", "granter", "jane");
    server.post(&format!("{RBAC}/clusterrolebindings"), &bound).await.ok(201);
    until(&jane, ROLES, 200).await;

    let pods = |verbs: Value| json!([{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]);
    jane.post(ROLES, &role("a", pods(json!(["get"])))).await.ok(201);
    let status = jane.post(ROLES, &role("b", pods(json!(["get", "list"])))).await.fails(403, "Forbidden");
    assert_eq!(
        status["message"],
        "roles.rbac.authorization.k8s.io \"b\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], \
         Verbs:[\"list\"]}"
    );
    let more = json!({"rules": pods(json!(["get", "list"]))});
    jane.patch(&format!("{ROLES}/a"), MERGE, &more).await.fails_with(403, "Forbidden", "not currently held");
    let put = jane.put(&format!("{ROLES}/a"), &role("a", pods(json!(["delete"])))).await;
    put.fails_with(403, "Forbidden", "not currently held");
    // What an update creates is asked about, too.
    let put = jane.put(&format!("{ROLES}/c"), &role("c", pods(json!(["delete"])))).await;
    put.fails_with(403, "Forbidden", "not currently held");
    let mut sum = role("sum", json!([]));
    sum["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    let status = jane.post(&cluster_roles, &sum).await;
    status.fails_with(403, "Forbidden", "must have cluster-admin privileges to use an aggregationRule");

    jane.post(BINDINGS, &binding("a", "Role", "a", "joe")).await.ok(201);
    let admin = jane.post(BINDINGS, &binding("b", "ClusterRole", "cluster-admin", "joe")).await;
    admin.fails_with(
        403,
        "Forbidden",
        "rolebindings.rbac.authorization.k8s.io \"b\" is forbidden: user \"jane\"",
    );
    let none = jane.post(BINDINGS, &binding("c", "Role", "none", "joe")).await;
    none.fails_with(404, "NotFound", r#"roles.rbac.authorization.k8s.io "none" not found"#);

    // Who may bind or escalate, may.
    let rules = json!([
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind"], "resourceNames": ["view"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["escalate"]},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]);
    server.post(&cluster_roles, &role("more", rules)).await.ok(201);
    let bound = binding("more", "ClusterRole", "more", "jane");
    server.post(&format!("{RBAC}/clusterrolebindings"), &bound).await.ok(201);
    until(&jane, "/metrics", 200).await;
    jane.post(BINDINGS, &binding("d", "ClusterRole", "view", "joe")).await.ok(201);
    jane.post(BINDINGS, &binding("e", "ClusterRole", "edit", "joe")).await.ok(201);
    jane.post(ROLES, &role("f", pods(json!(["*"])))).await.ok(201);
}

#[tokio::test]
async fn the_default_roles_are_there() {
    let server = Server::start().await;
    let admin = server.get(&format!("{RBAC}/clusterroles/cluster-admin")).await.ok(200);
    assert_eq!(
        admin["rules"],
        json!([
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ])
    );
    assert_eq!(admin["metadata"]["labels"], json!({"kubernetes.io/bootstrapping": "rbac-defaults"}));
    let auto = json!({"rbac.authorization.kubernetes.io/autoupdate": "true"});
    assert_eq!(admin["metadata"]["annotations"], auto);
    let bound = server.get(&format!("{RBAC}/clusterrolebindings/cluster-admin")).await.ok(200);
    assert_eq!(bound["subjects"][0]["name"], "system:masters");
    let edit = server.get(&format!("{RBAC}/clusterroles/edit")).await.ok(200);
    assert_eq!(edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"], "true");
    let labels = &edit["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"];
    assert_eq!(labels["rbac.authorization.k8s.io/aggregate-to-edit"], "true");
    let lock = format!("{RBAC}/namespaces/kube-system/rolebindings/system::leader-locking-kube-scheduler");
    assert_eq!(server.get(&lock).await.ok(200)["subjects"].as_array().unwrap().len(), 2);
    let checks = server.get("/readyz?verbose").await;
    assert!(checks.text().contains("[+]poststarthook/rbac/bootstrap-roles ok"), "{checks:?}");

    // The components do their work by these roles.
    let scheduler = server.client("system:kube-scheduler", &[]);
    scheduler.get("/api/v1/pods").await.ok(200);
    scheduler
        .post(&format!("{PODS}/x/binding"), &json!({"target": {"name": "n"}}))
        .await
        .fails(404, "NotFound");
    let proxy = server.client("system:kube-proxy", &[]);
    proxy.get("/apis/discovery.k8s.io/v1/endpointslices").await.ok(200);
    proxy.delete("/api/v1/namespaces/default/services/x").await.fails(403, "Forbidden");
    let dns = server.client("system:dns", &[]);
    dns.get("/api/v1/namespaces/kube-system/services/x").await.fails(404, "NotFound");
    dns.delete("/api/v1/namespaces/kube-system/services/x").await.fails(404, "NotFound");
    dns.get("/api/v1/namespaces/default/services/x").await.fails(404, "NotFound");
    dns.delete("/api/v1/namespaces/default/services/x").await.fails(403, "Forbidden");
    let manager = server.client("system:kube-controller-manager", &[]);
    manager.get("/api/v1/secrets").await.ok(200);
    let answer = manager.call(Method::GET, "/metrics").send().await;
    answer.fails(403, "Forbidden");
}
