//! Server-side apply, and the owners that every write leaves.

mod custom;

use http::Method;
use http::header::USER_AGENT;
use serde_json::{Value, json};

use crate::http::{Answer, MERGE, STRATEGIC};
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, Server, config_map, deployment};

const APPLY: &str = "application/apply-patch+yaml";

fn at(path: &str, manager: &str) -> String {
    format!("{path}?fieldManager={manager}")
}

async fn apply(server: &Server, path: &str, manager: &str, config: &Value) -> Answer {
    server.patch(&at(path, manager), APPLY, config).await
}

/// The owners of an object: manager, operation, subresource, fields.
fn owners(object: &Value) -> Vec<(String, String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let owner = |entry: Value| {
        assert_eq!(entry["fieldsType"], "FieldsV1", "{entry}");
        let (manager, operation) = (text(&entry["manager"]), text(&entry["operation"]));
        (manager, operation, text(&entry["subresource"]), entry["fieldsV1"].clone())
    };
    entries.into_iter().map(owner).collect()
}

pub(super) fn managers(object: &Value) -> Vec<String> {
    owners(object).into_iter().map(|(manager, operation, ..)| format!("{manager} {operation}")).collect()
}

#[tokio::test]
async fn apply_creates_and_changes() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let made = apply(&server, &path, "one", &config_map("a")).await.ok(201);
    assert_eq!(
        owners(&made),
        [("one".to_owned(), "Apply".to_owned(), String::new(), json!({"f:data": {"f:k": {}}}))]
    );
    // Once more is no change.
    let again = apply(&server, &path, "one", &config_map("a")).await.ok(200);
    assert_eq!(again, made);
    let other =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}});
    let both = apply(&server, &path, "two", &other).await.ok(200);
    assert_eq!(both["data"], json!({"k": "v", "x": "1"}));
    assert_eq!(managers(&both), ["one Apply", "two Apply"]);
    let empty = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let left = apply(&server, &path, "one", &empty).await.ok(200);
    assert_eq!((&left["data"], managers(&left)), (&json!({"x": "1"}), vec!["two Apply".to_owned()]));
    assert_eq!(server.get(&path).await.ok(200), left);

    // YAML is what it is called after.
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  k: \"1\"\n";
    let call = server.call(Method::PATCH, &at(&format!("{CONFIG_MAPS}/yaml"), "one"));
    assert_eq!(call.body(APPLY, yaml).send().await.ok(201)["data"], json!({"k": "1"}));
    // A dry run leaves nothing.
    let dry = format!("{}&dryRun=All", at(&format!("{CONFIG_MAPS}/d"), "one"));
    server.patch(&dry, APPLY, &config_map("d")).await.ok(201);
    server.get(&format!("{CONFIG_MAPS}/d")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn a_conflict_names_owner_and_field() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/a");
    let create = server.call(Method::POST, DEPLOYMENTS).header(USER_AGENT, "kubectl/v1.36.0 (linux/amd64)");
    create.json(&deployment("a", 1)).send().await.ok(201);
    let mut config = deployment("a", 3);
    let status = apply(&server, &path, "me", &config).await.fails(409, "Conflict");
    assert_eq!(
        status["message"],
        "Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: .spec.replicas"
    );
    assert_eq!(
        status["details"],
        json!({"causes": [{
            "reason": "FieldManagerConflict",
            "message": "conflict with \"kubectl\" using apps/v1",
            "field": ".spec.replicas",
        }]})
    );
    let forced = server.patch(&format!("{}&force=true", at(&path, "me")), APPLY, &config).await.ok(200);
    assert_eq!((&forced["spec"]["replicas"], &forced["metadata"]["generation"]), (&json!(3), &json!(2)));
    assert_eq!(managers(&forced), ["me Apply", "kubectl Update"]);
    // What another one's field does not depend on is free.
    config["spec"].as_object_mut().unwrap().remove("replicas");
    config["metadata"]["labels"] = json!({"a": "b"});
    let status = apply(&server, &path, "you", &deployment("a", 4)).await.fails(409, "Conflict");
    assert_eq!(status["message"], "Apply failed with 1 conflict: conflict with \"me\": .spec.replicas");
    apply(&server, &path, "you", &config).await.ok(200);
}

#[tokio::test]
async fn what_is_no_configuration_is_refused() {
    let server = Server::start().await;
    let path = format!("{CONFIG_MAPS}/a");
    let status = server.patch(&path, APPLY, &config_map("a")).await.fails(422, "Invalid");
    assert_eq!(
        status["message"],
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    for (config, code, reason, text) in [
        (json!({"kind": "ConfigMap"}), 400, "BadRequest", "invalid object type: /, Kind=ConfigMap"),
        (deployment("a", 1), 400, "BadRequest", "invalid object type: apps/v1, Kind=Deployment"),
        (
            config_map("b"),
            400,
            "BadRequest",
            "the name of the object (b) does not match the name on the URL (a)",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap"}),
            400,
            "BadRequest",
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "other"}}),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": [{}]}}),
            400,
            "BadRequest",
            "metadata.managedFields must be nil",
        ),
        (json!([1]), 400, "BadRequest", "error decoding YAML"),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "x"}}),
            409,
            "Conflict",
            "uid mismatch: the provided object specified uid x, and no existing object was found",
        ),
    ] {
        apply(&server, &path, "me", &config).await.fails_with(code, reason, text);
    }
    let unknown = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "extra": 1});
    let answer = apply(&server, &path, "me", &unknown).await;
    let status = answer.ok(500);
    assert_eq!(status["reason"], Value::Null);
    assert_eq!(
        status["message"],
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .extra: field not declared in schema"
    );
    let twice = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1","x":"2"}}"#;
    let strict = format!("{}&fieldValidation=Strict", at(&path, "me"));
    let call = server.call(Method::PATCH, &strict).body(APPLY, twice);
    call.send().await.fails_with(400, "BadRequest", "error strict decoding YAML");
    let warned = server.call(Method::PATCH, &at(&path, "me")).body(APPLY, twice).send().await;
    warned.ok(201);
    assert_eq!(warned.warnings(), [r#"299 - "duplicate field \"data.x\"""#]);
    // A revision is a precondition, and what nobody may write is not written.
    let mut stale = config_map("a");
    stale["metadata"]["resourceVersion"] = json!("1");
    apply(&server, &path, "me", &stale).await.fails_with(409, "Conflict", "the object has been modified");
    let force = format!("{path}?force=true");
    server.patch(&force, MERGE, &json!({})).await.invalid(&[("force", "FieldValueForbidden")]);
    let long = at(&path, &"m".repeat(129));
    server.patch(&long, MERGE, &json!({})).await.invalid(&[("fieldManager", "FieldValueTooLong")]);
    server
        .patch(&at(&path, "a%0Ab"), MERGE, &json!({}))
        .await
        .invalid(&[("fieldManager", "FieldValueInvalid")]);
}

#[tokio::test]
async fn every_write_leaves_its_owner() {
    let server = Server::start().await;
    let create = server.call(Method::POST, CONFIG_MAPS).header(USER_AGENT, "curl/8.0");
    let made = create.json(&config_map("a")).send().await.ok(201);
    assert_eq!(
        owners(&made),
        [("curl".to_owned(), "Update".to_owned(), String::new(), json!({"f:data": {".": {}, "f:k": {}}}))]
    );
    let path = format!("{CONFIG_MAPS}/a");
    let mut next = made.clone();
    next["data"] = json!({"k": "w", "x": "1"});
    let changed = server.put(&at(&path, "editor"), &next).await.ok(200);
    assert_eq!(managers(&changed), ["curl Update", "editor Update"]);
    assert_eq!(owners(&changed)[0].3, json!({"f:data": {}}));
    assert_eq!(owners(&changed)[1].3, json!({"f:data": {"f:k": {}, "f:x": {}}}));
    // What changes nothing is not written, whoever says it.
    let same = server.put(&at(&path, "third"), &changed).await.ok(200);
    assert_eq!(same, changed);
    let same = server.patch(&at(&path, "third"), STRATEGIC, &json!({"data": {"x": "1"}})).await.ok(200);
    assert_eq!(same, changed);
    // Who clears the owners on purpose clears them; nobody is tracked then until the next apply.
    let reset = json!({"metadata": {"managedFields": []}});
    assert!(owners(&server.patch(&path, MERGE, &reset).await.ok(200)).is_empty());
    let later = server.patch(&path, MERGE, &json!({"data": {"z": "1"}})).await.ok(200);
    assert!(owners(&later).is_empty());
    let config =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"q": "1"}});
    let applied = apply(&server, &path, "me", &config).await.ok(200);
    assert_eq!(managers(&applied), ["me Apply", "before-first-apply Update"]);
    // Lists carry them, too.
    let list = server.get(CONFIG_MAPS).await.ok(200);
    let found =
        list["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "a").unwrap();
    assert_eq!(found["metadata"]["managedFields"], applied["metadata"]["managedFields"]);
}

#[tokio::test]
async fn status_and_scale_have_owners_of_their_own() {
    let server = Server::start().await;
    let path = format!("{DEPLOYMENTS}/a");
    apply(&server, &path, "me", &deployment("a", 1)).await.ok(201);
    let mut status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}});
    status["status"] = json!({"observedGeneration": 1});
    let now = apply(&server, &format!("{path}/status"), "controller", &status).await.ok(200);
    assert_eq!(now["status"]["observedGeneration"], 1);
    let controllers = (
        "controller".into(),
        "Apply".into(),
        "status".into(),
        json!({"f:status": {"f:observedGeneration": {}}}),
    );
    assert!(owners(&now).contains(&controllers), "{now}");
    let missing = format!("{DEPLOYMENTS}/none/status");
    status["metadata"]["name"] = json!("none");
    apply(&server, &missing, "controller", &status).await.fails(404, "NotFound");

    // The scaler takes the replicas; who applied them is told so.
    let scale = format!("{path}/scale");
    server.patch(&at(&scale, "scaler"), MERGE, &json!({"spec": {"replicas": 5}})).await.ok(200);
    let now = server.get(&path).await.ok(200);
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let scalers = ("scaler".into(), "Update".into(), "scale".into(), replicas.clone());
    assert!(owners(&now).contains(&scalers), "{now}");
    let refused = apply(&server, &path, "me", &deployment("a", 1)).await.fails(409, "Conflict");
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"scaler\" with subresource \"scale\" using apps/v1: \
         .spec.replicas"
    );
    let config = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a", "namespace": "default"},
        "spec": {"replicas": 7},
    });
    let refused = apply(&server, &scale, "other", &config).await.fails(409, "Conflict");
    assert!(
        refused["message"].as_str().unwrap().contains("using autoscaling/v1: .spec.replicas"),
        "{refused}"
    );
    let now = server.patch(&format!("{}&force=1", at(&scale, "other")), APPLY, &config).await.ok(200);
    assert_eq!(now["spec"]["replicas"], 7);
    let now = server.get(&path).await.ok(200);
    assert!(owners(&now).contains(&("other".into(), "Apply".into(), "scale".into(), replicas)), "{now}");
    assert!(!managers(&now).contains(&"scaler Update".to_owned()), "{now}");
}
