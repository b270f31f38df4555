//! Roles, their bindings and the classes of pods: what each kind makes of a request.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const PRIORITIES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const RUNTIMES: &str = "/apis/node.k8s.io/v1/runtimeclasses";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

async fn first_row(server: &Server, path: &str) -> (Vec<Value>, Vec<Value>) {
    let table = server.get_as(path, TABLE).await.ok(200);
    let columns = table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    (columns, table["rows"][0]["cells"].as_array().unwrap().clone())
}

#[tokio::test]
async fn an_update_creates_a_role() {
    let server = Server::start().await;
    for (kind, path) in [
        ("Role", format!("{RBAC}/namespaces/default/roles")),
        ("ClusterRole", format!("{RBAC}/clusterroles")),
    ] {
        let one = format!("{path}/system:reader");
        let mut role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "system:reader"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        });
        let made = server.put(&one, &role).await.ok(201);
        assert_eq!(made["rules"], role["rules"]);
        assert!(made["metadata"].get("generation").is_none(), "{made}");
        let (columns, cells) = first_row(&server, &one).await;
        assert_eq!(columns, ["Name", "Created At"]);
        assert_eq!(cells, [json!("system:reader"), made["metadata"]["creationTimestamp"].clone()]);
        role["rules"][0]["verbs"] = json!([]);
        server.put(&one, &role).await.invalid(&[("rules[0].verbs", "FieldValueRequired")]);
        role["rules"][0]["verbs"] = json!(["list"]);
        assert_eq!(server.put(&one, &role).await.ok(200)["rules"], role["rules"]);
        server.delete(&one).await.ok(200);
        server.get(&one).await.fails(404, "NotFound");
    }
}

#[tokio::test]
async fn a_binding_keeps_its_role() {
    let server = Server::start().await;
    for (kind, path, role) in [
        ("RoleBinding", format!("{RBAC}/namespaces/default/rolebindings"), "Role"),
        ("ClusterRoleBinding", format!("{RBAC}/clusterrolebindings"), "ClusterRole"),
    ] {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "b"},
            "roleRef": {"kind": role, "name": "reader"},
            "subjects": [{"kind": "User", "name": "jane"}],
        });
        let made = server.post(&path, &binding).await.ok(201);
        assert_eq!(made["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
        assert_eq!(made["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
        let one = format!("{path}/b");
        let other = json!({"roleRef": {"name": "writer"}});
        server.patch(&one, MERGE, &other).await.invalid(&[("roleRef", "FieldValueInvalid")]);
        let nobody = server.patch(&one, MERGE, &json!({"subjects": null})).await.ok(200);
        assert!(nobody.get("subjects").is_none(), "{nobody}");
        let (columns, cells) = first_row(&server, &path).await;
        assert_eq!(columns, ["Name", "Role", "Age", "Users", "Groups", "ServiceAccounts"]);
        assert_eq!(cells[..2], [json!("b"), json!(format!("{role}/reader"))]);
        server.delete(&one).await.ok(200);
    }
}

#[tokio::test]
async fn a_priority_stays() {
    let server = Server::start().await;
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "high"},
        "value": 1000,
    });
    let one = format!("{PRIORITIES}/high");
    server.put(&one, &class).await.fails(404, "NotFound");
    let made = server.post(PRIORITIES, &class).await.ok(201);
    assert_eq!(made["preemptionPolicy"], "PreemptLowerPriority");
    assert_eq!(made["metadata"]["generation"], 1);
    let change = json!({"value": 1, "preemptionPolicy": "Never"});
    let causes = [("value", "FieldValueForbidden"), ("preemptionPolicy", "FieldValueInvalid")];
    server.patch(&one, MERGE, &change).await.invalid(&causes);
    let told = server.patch(&one, MERGE, &json!({"description": "for few"})).await.ok(200);
    assert_eq!(told["metadata"]["generation"], 1);
    let (columns, cells) = first_row(&server, PRIORITIES).await;
    assert_eq!(columns, ["Name", "Value", "Global-Default", "Age", "PreemptionPolicy"]);
    assert_eq!(cells[..3], [json!("high"), json!(1000), json!(false)]);
    let mut higher = class;
    higher["metadata"]["name"] = json!("higher");
    higher["value"] = json!(1_000_000_001);
    server.post(PRIORITIES, &higher).await.invalid(&[("value", "FieldValueForbidden")]);
    server.delete(&one).await.ok(200);
}

#[tokio::test]
async fn a_runtime_keeps_its_handler() {
    let server = Server::start().await;
    let class = json!({
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "safe"},
        "handler": "runsc",
        "overhead": {"podFixed": {"memory": "16Mi"}},
    });
    assert_eq!(server.post(RUNTIMES, &class).await.ok(201)["overhead"], class["overhead"]);
    let one = format!("{RUNTIMES}/safe");
    server.patch(&one, MERGE, &json!({"handler": "runc"})).await.invalid(&[("handler", "FieldValueInvalid")]);
    let more = json!({"scheduling": {"nodeSelector": {"runtime": "safe"}}});
    assert_eq!(server.patch(&one, MERGE, &more).await.ok(200)["scheduling"], more["scheduling"]);
    let (columns, cells) = first_row(&server, RUNTIMES).await;
    assert_eq!(columns, ["Name", "Handler", "Age"]);
    assert_eq!(cells[..2], [json!("safe"), json!("runsc")]);
    server.delete(&one).await.ok(200);
}
