//! Apply to custom resources: what their schemas say is owned.

use serde_json::{Value, json};

use super::{APPLY, apply, at, managers, owners};
use crate::custom::define;
use crate::http::{MERGE, PROTOBUF};
use crate::server::Server;

const PARTS: &str = "/apis/apply.example.com/v1/namespaces/default/parts";

fn definition() -> Value {
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {
                    "count": {"type": "integer"},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "ports": {
                        "type": "array", "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["port", "protocol"],
                        "items": {"type": "object", "required": ["port"], "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                            "name": {"type": "string"},
                        }},
                    },
                    "plain": {"type": "array", "items": {"type": "string"}},
                    "whole": {
                        "type": "object", "x-kubernetes-map-type": "atomic",
                        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    },
                    "each": {"type": "object", "additionalProperties": {"type": "string"}},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }},
                "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
            }}},
            "subresources": {"status": {}, "scale": {
                "specReplicasPath": ".spec.count", "statusReplicasPath": ".status.ready",
            }},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "parts.apply.example.com"},
        "spec": {
            "group": "apply.example.com",
            "scope": "Namespaced",
            "names": {"plural": "parts", "kind": "Part"},
            "versions": [version("v1", true), version("v2", false)],
        },
    })
}

fn part(spec: Value) -> Value {
    json!({"apiVersion": "apply.example.com/v1", "kind": "Part", "metadata": {"name": "a"}, "spec": spec})
}

#[tokio::test]
async fn schemas_say_what_is_owned() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let path = format!("{PARTS}/a");
    let one = part(json!({
        "tags": ["x"], "ports": [{"port": 80}], "plain": ["p"], "whole": {"a": "1"}, "each": {"k": "v"},
        "free": {"deep": {"x": 1}, "list": [1]},
    }));
    let made = apply(&server, &path, "one", &one).await.ok(201);
    assert_eq!(
        owners(&made)[0].3,
        json!({"f:spec": {
            "f:tags": {"v:\"x\"": {}},
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
            "f:plain": {},
            "f:whole": {},
            "f:each": {"f:k": {}},
            "f:free": {"f:deep": {".": {}, "f:x": {}}, "f:list": {}},
        }})
    );
    assert_eq!(apply(&server, &path, "one", &one).await.ok(200), made);

    // Items and entries of others are added, and do not conflict.
    let two = part(json!({
        "tags": ["y"], "ports": [{"port": 80, "protocol": "UDP", "name": "dns"}], "each": {"l": "w"},
        "free": {"deep": {"y": 2}},
    }));
    let both = apply(&server, &path, "two", &two).await.ok(200);
    let spec = &both["spec"];
    assert_eq!(spec["tags"], json!(["x", "y"]));
    assert_eq!(spec["ports"].as_array().unwrap().len(), 2);
    assert_eq!(spec["each"], json!({"k": "v", "l": "w"}));
    assert_eq!(spec["free"]["deep"], json!({"x": 1, "y": 2}));
    // What is one thing has one owner.
    for (spec, field) in [
        (json!({"plain": ["q"]}), ".spec.plain"),
        (json!({"whole": {"b": "2"}}), ".spec.whole"),
        (json!({"free": {"list": [2]}}), ".spec.free.list"),
        (json!({"free": {"deep": {"x": 3}}}), ".spec.free.deep.x"),
    ] {
        let status = apply(&server, &path, "three", &part(spec)).await.fails(409, "Conflict");
        let message = format!("Apply failed with 1 conflict: conflict with \"one\": {field}");
        assert_eq!(status["message"], message);
    }
    // What its owner applies no more goes.
    let less = apply(&server, &path, "one", &part(json!({"tags": ["x"], "free": {}}))).await.ok(200);
    assert_eq!(
        less["spec"],
        json!({
            "tags": ["x", "y"], "ports": [{"port": 80, "protocol": "UDP", "name": "dns"}],
            "each": {"l": "w"}, "free": {"deep": {"y": 2}},
        })
    );
}

#[tokio::test]
async fn unknown_fields_and_other_versions() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let path = format!("{PARTS}/a");
    let answer = apply(&server, &path, "one", &part(json!({"nothing": 1}))).await;
    assert_eq!(
        answer.ok(500)["message"],
        "failed to create typed patch object (/a; apply.example.com/v1, Kind=Part): .spec.nothing: field not \
         declared in schema"
    );
    let wrong = apply(&server, &path, "one", &part(json!({"count": "many"}))).await.ok(500);
    assert!(wrong["message"].as_str().unwrap().contains(".spec.count: expected numeric"), "{wrong}");

    apply(&server, &path, "one", &part(json!({"count": 1, "tags": ["x"]}))).await.ok(201);
    // A version has other names for nothing: the owner is who it was.
    let newer = json!({
        "apiVersion": "apply.example.com/v2", "kind": "Part", "metadata": {"name": "a"}, "spec": {"count": 2},
    });
    let path_of_v2 = path.replace("/v1/", "/v2/");
    apply(&server, &path_of_v2, "two", &newer).await.fails_with(409, "Conflict", ".spec.count");
    let changed = apply(&server, &path_of_v2, "one", &newer).await.ok(200);
    assert_eq!(changed["spec"], json!({"count": 2}));
    assert_eq!(managers(&changed), ["one Apply"]);

    // Every other write has an owner, too.
    let patched = server.patch(&at(&path, "editor"), MERGE, &json!({"spec": {"each": {"k": "v"}}})).await;
    let patched = patched.ok(200);
    assert_eq!(owners(&patched)[1].3, json!({"f:spec": {"f:each": {".": {}, "f:k": {}}}}));
    assert_eq!(patched["metadata"]["managedFields"][1]["apiVersion"], "apply.example.com/v1");
    let same = server.patch(&at(&path, "third"), MERGE, &json!({"spec": {"count": 2}})).await.ok(200);
    assert_eq!(same, patched);
    server.patch(&at(&path, "one"), PROTOBUF, &json!({})).await.fails_with(
        415,
        "UnsupportedMediaType",
        APPLY,
    );
}

#[tokio::test]
async fn status_and_scale_of_custom_resources() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let path = format!("{PARTS}/a");
    apply(&server, &path, "one", &part(json!({"count": 1}))).await.ok(201);
    let status = json!({
        "apiVersion": "apply.example.com/v1", "kind": "Part", "metadata": {"name": "a"}, "status": {"ready": 1},
    });
    let now = apply(&server, &format!("{path}/status"), "controller", &status).await.ok(200);
    assert_eq!((&now["status"], &now["spec"]), (&json!({"ready": 1}), &json!({"count": 1})));
    let ready = json!({"f:status": {"f:ready": {}}});
    assert!(owners(&now).contains(&("controller".into(), "Apply".into(), "status".into(), ready)), "{now}");

    let scale = at(&format!("{path}/scale"), "scaler");
    server.patch(&scale, MERGE, &json!({"spec": {"replicas": 5}})).await.ok(200);
    let now = server.get(&path).await.ok(200);
    let count = json!({"f:spec": {"f:count": {}}});
    assert!(owners(&now).contains(&("scaler".into(), "Update".into(), "scale".into(), count)), "{now}");
    assert!(!managers(&now).contains(&"one Apply".to_owned()), "{now}");
    let refused = apply(&server, &path, "one", &part(json!({"count": 1}))).await;
    refused.fails_with(409, "Conflict", "conflict with \"scaler\" with subresource \"scale\" using");
}
