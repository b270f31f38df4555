//! The three kinds of patches, and what is wrong with some.

use serde_json::{Value, json};

use crate::http::{JSON, JSON_PATCH, MERGE, STRATEGIC};
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, Server, config_map, deployment};

#[tokio::test]
async fn a_json_patch_is_operations() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    let patch = json!([
        {"op": "test", "path": "/data/k", "value": "v"},
        {"op": "add", "path": "/data/x", "value": "1"},
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "add", "path": "/metadata/labels/example.com~1y", "value": "2"},
        {"op": "replace", "path": "/data/k", "value": "w"},
    ]);
    let now = server.patch(&path, JSON_PATCH, &patch).await.ok(200);
    assert_eq!(now["data"], json!({"k": "w", "x": "1"}));
    assert_eq!(now["metadata"]["labels"], json!({"example.com/y": "2"}));

    let failed = json!([{"op": "test", "path": "/data/k", "value": "other"}]);
    server.patch(&path, JSON_PATCH, &failed).await.fails(422, "Invalid");
    let missing = json!([{"op": "remove", "path": "/data/nothing"}]);
    server.patch(&path, JSON_PATCH, &missing).await.fails(422, "Invalid");
    for wrong in [json!({"op": "add"}), json!([{"op": "bend", "path": "/data"}]), json!("x")] {
        server.patch(&path, JSON_PATCH, &wrong).await.fails(400, "BadRequest");
    }
    let many: Vec<Value> =
        (0..10_001).map(|_| json!({"op": "test", "path": "/data/k", "value": "w"})).collect();
    server.patch(&path, JSON_PATCH, &many.into()).await.fails(413, "RequestEntityTooLarge");
}

#[tokio::test]
async fn a_merge_patch_replaces_lists_and_a_strategic_one_merges_them() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, &deployment("a", 1)).await.ok(201);
    let path = format!("{DEPLOYMENTS}/a");
    let second = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let names = |object: &Value| {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
        let mut names: Vec<_> = containers.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let now = server.patch(&path, STRATEGIC, &second(json!([{"name": "d", "image": "j"}]))).await.ok(200);
    assert_eq!(names(&now), ["c", "d"]);
    let now =
        server.patch(&path, STRATEGIC, &second(json!([{"name": "c", "$patch": "delete"}]))).await.ok(200);
    assert_eq!(names(&now), ["d"]);
    let now = server.patch(&path, MERGE, &second(json!([{"name": "e", "image": "k"}]))).await.ok(200);
    assert_eq!(names(&now), ["e"]);
    // null removes.
    let labels = json!({"metadata": {"labels": {"x": "1", "y": "2"}}});
    server.patch(&path, MERGE, &labels).await.ok(200);
    let now = server.patch(&path, STRATEGIC, &json!({"metadata": {"labels": {"x": null}}})).await.ok(200);
    assert_eq!(now["metadata"]["labels"], json!({"y": "2"}));
}

#[tokio::test]
async fn what_a_patch_may_not_do() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    for (patch, text) in [
        (json!({"metadata": {"name": "b"}}), "metadata.name"),
        (json!({"metadata": {"namespace": "b"}}), "metadata.namespace"),
        (json!({"kind": "Secret"}), "kind"),
        (json!([1]), "patch"),
    ] {
        for r#type in [MERGE, STRATEGIC] {
            server.patch(&path, r#type, &patch).await.fails_with(400, "BadRequest", text);
        }
    }
    for (patch, field) in [(json!({"data": {"k": 5}}), "data.k"), (json!({"data": "text"}), "data")] {
        let answer = server.patch(&path, MERGE, &patch).await;
        answer.invalid(&[(field, "FieldValueTypeInvalid")]);
    }
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"k": "w"}});
    server.patch(&path, MERGE, &stale).await.fails(409, "Conflict");
    let answer = server.patch(&path, MERGE, &json!({"data": {"not a key": ""}})).await;
    answer.fails_with(422, "Invalid", "data");
    assert_eq!(server.get(&path).await.ok(200), made);
}

#[tokio::test]
async fn a_patch_says_which_kind_it_is() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let path = format!("{CONFIG_MAPS}/a");
    for r#type in [JSON, "application/apply-patch+cbor", "text/plain"] {
        let answer = server.patch(&path, r#type, &json!({})).await;
        answer.fails_with(415, "UnsupportedMediaType", STRATEGIC);
    }
    for r#type in [JSON_PATCH, MERGE, STRATEGIC] {
        let answer = server.call(http::Method::PATCH, &path).body(r#type, "{").send().await;
        answer.fails(400, "BadRequest");
    }
}

#[tokio::test]
async fn unknown_fields_of_a_patch() {
    let server = Server::start().await;
    server.post(DEPLOYMENTS, &deployment("a", 1)).await.ok(201);
    let path = format!("{DEPLOYMENTS}/a");
    let patch = json!({"spec": {"replica": 3}});
    for r#type in [MERGE, STRATEGIC] {
        let strict = server.patch(&format!("{path}?fieldValidation=Strict"), r#type, &patch).await;
        strict.fails_with(400, "BadRequest", r#"unknown field "spec.replica""#);
        let warned = server.patch(&format!("{path}?fieldValidation=Warn"), r#type, &patch).await;
        warned.ok(200);
        assert_eq!(warned.warnings(), [r#"299 - "unknown field \"spec.replica\"""#]);
        let ignored = server.patch(&format!("{path}?fieldValidation=Ignore"), r#type, &patch).await;
        ignored.ok(200);
        assert!(ignored.warnings().is_empty());
    }
}
