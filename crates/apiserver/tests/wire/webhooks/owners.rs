//! Who owns the fields of what webhooks change.

use serde_json::{Value, json};

use super::{MUTATING, VALIDATING, configure, hook, rules};
use crate::hook_server::{Webhook, patched};
use crate::http::MERGE;
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, Server, config_map, deployment};

const APPLY: &str = "application/apply-patch+yaml";

/// The owners of an object: manager, operation, subresource and fields.
fn owners(object: &Value) -> Vec<Value> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| json!([entry["manager"], entry["operation"], entry["subresource"], entry["fieldsV1"]]))
        .collect()
}

/// A webhook that labels everything that it is asked about.
async fn labels(server: &Server) -> Webhook {
    let labels = json!([{"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}}]);
    let webhook = Webhook::start(server, move |_, _| patched(&labels)).await;
    configure(server, MUTATING, "m", &[hook(&webhook.client_config("/"), &json!({}))]).await;
    webhook
}

#[tokio::test]
async fn an_applied_configuration_goes_through_webhooks() {
    let server = Server::start().await;
    let webhook = labels(&server).await;
    let path = format!("{CONFIG_MAPS}/a?fieldManager=one");
    let made = server.patch(&path, APPLY, &config_map("a")).await.ok(201);
    assert_eq!((&made["metadata"]["labels"], &made["data"]), (&json!({"by": "hook"}), &json!({"k": "v"})));
    let owned = [json!(["one", "Apply", null, {"f:data": {"f:k": {}}}])];
    assert_eq!(owners(&made), owned);
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!((&request["operation"], &request["oldObject"]), (&"CREATE".into(), &Value::Null));
    assert_eq!(
        request["options"],
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions", "fieldManager": "one"})
    );
    assert_eq!(owners(&request["object"]), owned);
    assert_eq!(request["object"]["metadata"].get("labels"), None);

    // Once more is no change, though the webhook is asked.
    assert_eq!(server.patch(&path, APPLY, &config_map("a")).await.ok(200), made);
    let requests = webhook.take();
    let request = requests.last().unwrap();
    assert_eq!((&request["operation"], &request["oldObject"]["data"]["k"]), (&"UPDATE".into(), &"v".into()));
    assert_eq!(
        request["options"],
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "UpdateOptions", "fieldManager": "one"})
    );

    let no = Webhook::start(&server, |_, _| json!({"allowed": false, "status": {"message": "no"}})).await;
    configure(&server, VALIDATING, "v", &[hook(&no.client_config("/"), &json!({}))]).await;
    let mut other = config_map("a");
    other["data"]["k"] = "w".into();
    server.patch(&path, APPLY, &other).await.ok(400);
    assert_eq!(no.take()[0]["object"]["metadata"]["labels"], json!({"by": "hook"}));
    server.patch(&format!("{CONFIG_MAPS}/b?fieldManager=one"), APPLY, &config_map("b")).await.ok(400);
    server.get(&format!("{CONFIG_MAPS}/b")).await.fails(404, "NotFound");
    assert_eq!(server.get(&format!("{CONFIG_MAPS}/a")).await.ok(200), made);
}

#[tokio::test]
async fn what_webhooks_add_is_nobodys() {
    let server = Server::start().await;
    let webhook = labels(&server).await;
    let mine = json!(["me", "Update", null, {"f:data": {".": {}, "f:k": {}}}]);
    let made = server.post(&format!("{CONFIG_MAPS}?fieldManager=me"), &config_map("a")).await.ok(201);
    assert_eq!(made["metadata"]["labels"], json!({"by": "hook"}));
    assert_eq!(owners(&made), std::slice::from_ref(&mine));
    // The webhook sees them.
    assert_eq!(owners(&webhook.take()[0]["object"]), std::slice::from_ref(&mine));
    let path = format!("{CONFIG_MAPS}/a?fieldManager=you");
    let changed = server.patch(&path, MERGE, &json!({"data": {"l": "w"}})).await.ok(200);
    let yours = json!(["you", "Update", null, {"f:data": {"f:l": {}}}]);
    assert_eq!(owners(&changed), [mine.clone(), yours.clone()]);
    let requests = webhook.take();
    assert_eq!(owners(&requests.last().unwrap()["object"]), [mine.clone(), yours]);
    let mut all = config_map("a");
    all["data"] = json!({"k": "v", "x": "y"});
    let replaced = server.put(&path, &all).await.ok(200);
    assert_eq!(replaced["metadata"]["labels"], json!({"by": "hook"}));
    assert_eq!(owners(&replaced), [mine, json!(["you", "Update", null, {"f:data": {"f:x": {}}}])]);
}

#[tokio::test]
async fn a_webhook_may_name_owners_that_can_be_read() {
    let server = Server::start().await;
    let webhook = Webhook::start(&server, |_, request| {
        let field = if request["name"] == "good" { "manager" } else { "operation" };
        let path = format!("/metadata/managedFields/0/{field}");
        patched(&json!([{"op": "replace", "path": path, "value": "Other"}]))
    })
    .await;
    configure(&server, MUTATING, "m", &[hook(&webhook.client_config("/"), &json!({}))]).await;
    let path = format!("{CONFIG_MAPS}?fieldManager=me");
    let answer = server.post(&path, &config_map("good")).await;
    assert!(answer.warnings().is_empty());
    let fields = json!({"f:data": {".": {}, "f:k": {}}});
    assert_eq!(owners(&answer.ok(201)), [json!(["Other", "Update", null, fields])]);
    let warning = "299 - \".metadata.managedFields was in an invalid state after admission; this could be caused by an \
                   outdated mutating admission controller; please fix your requests: \
                   metadata.managedFields[0].operation: Invalid value: \\\"Other\\\": must be `Apply` or `Update`\"";
    let answer = server.post(&path, &config_map("bad")).await;
    assert_eq!(answer.warnings(), [warning]);
    assert_eq!(owners(&answer.ok(201)), [json!(["me", "Update", null, fields])]);
    let answer = server
        .patch(&format!("{CONFIG_MAPS}/bad?fieldManager=me"), MERGE, &json!({"data": {"k": "w"}}))
        .await;
    assert_eq!(answer.warnings(), [warning]);
    assert_eq!(owners(&answer.ok(200)), [json!(["me", "Update", null, fields])]);
}

#[tokio::test]
async fn an_applied_scale_goes_through_webhooks() {
    let server = Server::start().await;
    server.post(&format!("{DEPLOYMENTS}?fieldManager=me"), &deployment("d", 1)).await.ok(201);
    let five = json!([{"op": "replace", "path": "/spec/replicas", "value": 5}]);
    let webhook = Webhook::start(&server, move |_, _| patched(&five)).await;
    let about = json!({"rules": rules(&["UPDATE"], "apps", &["deployments/scale"])});
    configure(&server, MUTATING, "m", &[hook(&webhook.client_config("/"), &about)]).await;
    let scale = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d", "namespace": "default"},
        "spec": {"replicas": 3},
    });
    let path = format!("{DEPLOYMENTS}/d/scale?fieldManager=scaler&force=true");
    let scaled = server.patch(&path, APPLY, &scale).await.ok(200);
    assert_eq!(scaled["spec"]["replicas"], 5);
    let [request] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!(
        (&request["object"]["spec"]["replicas"], &request["options"]["kind"]),
        (&3.into(), &"UpdateOptions".into())
    );
    let stored = server.get(&format!("{DEPLOYMENTS}/d")).await.ok(200);
    assert_eq!(stored["spec"]["replicas"], 5);
    let scaler = json!(["scaler", "Apply", "scale", {"f:spec": {"f:replicas": {}}}]);
    assert!(owners(&stored).contains(&scaler), "{stored}");
}

#[tokio::test]
async fn nobody_is_asked_where_the_plugins_are_off() {
    let off = "--disable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook";
    let server = Server::start_with(&[off]).await;
    let webhook = labels(&server).await;
    configure(&server, VALIDATING, "v", &[hook(&webhook.client_config("/"), &json!({}))]).await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    assert_eq!(made["metadata"].get("labels"), None);
    server.delete(&format!("{CONFIG_MAPS}/a")).await.ok(200);
    assert!(webhook.take().is_empty());
}
