//! Custom resources whose versions a webhook converts.

use serde_json::{Value, json};

use crate::custom::define;
use crate::hook_server::Webhook;
use crate::http::{JSON, JSON_PATCH, MERGE};
use crate::server::Server;

const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/paints.example.com";
const V1: &str = "/apis/example.com/v1/namespaces/default/paints";
const V2: &str = "/apis/example.com/v2/namespaces/default/paints";
const APPLY: &str = "application/apply-patch+yaml";

/// In v1 a paint has `color: red-3`, in v2 `shade: {name: red, depth: 3}`.
fn definition(hook: &Webhook) -> Value {
    let subresources = |replicas: &str| json!({"status": {}, "scale": {"specReplicasPath": replicas, "statusReplicasPath": ".status.replicas"}});
    let schema = |spec: Value| {
        json!({"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": spec},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
        }}})
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "paints.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "paints", "kind": "Paint"},
            "conversion": {"strategy": "Webhook", "webhook": {
                "clientConfig": hook.client_config("/convert"), "conversionReviewVersions": ["v1"],
            }},
            "versions": [
                {
                    "name": "v1", "served": true, "storage": true,
                    "schema": schema(json!({"color": {"type": "string"}, "cans": {"type": "integer"}})),
                    "subresources": subresources(".spec.cans"),
                    "selectableFields": [{"jsonPath": ".spec.color"}],
                },
                {
                    "name": "v2", "served": true, "storage": false,
                    "schema": schema(json!({
                        "shade": {"type": "object", "properties": {
                            "name": {"type": "string", "maxLength": 5}, "depth": {"type": "integer"}}},
                        "boxes": {"type": "integer"},
                    })),
                    "subresources": subresources(".spec.boxes"),
                    "selectableFields": [{"jsonPath": ".spec.shade.name"}],
                },
            ],
        },
    })
}

fn convert(request: &Value) -> Vec<Value> {
    let wanted = request["desiredAPIVersion"].as_str().unwrap();
    let objects = request["objects"].as_array().unwrap().iter();
    objects
        .map(|object| {
            let mut converted = object.clone();
            converted["apiVersion"] = json!(wanted);
            let spec = &object["spec"];
            converted["spec"] = if wanted.ends_with("v2") {
                let (name, depth) = spec["color"].as_str().unwrap_or("none-0").split_once('-').unwrap();
                json!({"shade": {"name": name, "depth": depth.parse::<i64>().unwrap()}, "boxes": spec["cans"]})
            } else {
                let shade = &spec["shade"];
                let color = format!("{}-{}", shade["name"].as_str().unwrap_or("none"), shade["depth"]);
                json!({"color": color, "cans": spec["boxes"]})
            };
            // Only labels and annotations may be changed.
            converted["metadata"]["labels"] = json!({"as": wanted.rsplit('/').next()});
            converted["metadata"]["finalizers"] = json!(["example.com/ignored"]);
            converted
        })
        .collect()
}

fn success(objects: Vec<Value>) -> Value {
    json!({"result": {"status": "Success"}, "convertedObjects": objects})
}

fn message(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["message"].as_str().unwrap_or_default().to_owned()
}

async fn hook(server: &Server) -> Webhook {
    Webhook::start(server, |_, request| {
        let objects = convert(request);
        if objects.iter().any(|object| object["metadata"]["name"] == "odd") {
            return json!({"result": {"status": "Failure", "message": "I do not know odd paints"}});
        }
        success(objects)
    })
    .await
}

fn v1(name: &str, color: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Paint", "metadata": {"name": name},
           "spec": {"color": color, "cans": 1}})
}

fn v2(name: &str, shade: &str, depth: i64) -> Value {
    json!({"apiVersion": "example.com/v2", "kind": "Paint", "metadata": {"name": name},
           "spec": {"shade": {"name": shade, "depth": depth}, "boxes": 1}})
}

#[tokio::test]
async fn each_client_speaks_its_version() {
    let server = Server::start().await;
    let hook = hook(&server).await;
    define(&server, &definition(&hook)).await;
    let made = server.post(V1, &v1("a", "red-3")).await.ok(201);
    assert_eq!(hook.take(), Vec::<Value>::new());
    let seen = server.get(&format!("{V2}/a")).await.ok(200);
    assert_eq!(seen["apiVersion"], "example.com/v2");
    assert_eq!(seen["spec"], json!({"shade": {"name": "red", "depth": 3}, "boxes": 1}));
    assert_eq!(seen["metadata"]["labels"], json!({"as": "v2"}));
    assert_eq!(seen["metadata"].get("finalizers"), None);
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        assert_eq!(seen["metadata"][field], made["metadata"][field], "{field}");
    }
    let asked = hook.take();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["desiredAPIVersion"], "example.com/v2");
    assert_eq!(asked[0]["apiVersionOfReview"], "apiextensions.k8s.io/v1");
    assert_eq!(asked[0]["objects"][0]["apiVersion"], "example.com/v1");
    assert_eq!(asked[0]["objects"][0]["metadata"].get("resourceVersion"), None);
    // It is kept.
    server.get(&format!("{V2}/a")).await.ok(200);
    assert_eq!(hook.take(), Vec::<Value>::new());

    // What is written is checked in the version of the request, and what comes back is what others see.
    server.post(V2, &v2("b", "yellow", 1)).await.invalid(&[("spec.shade.name", "FieldValueTooLong")]);
    let made = server.post(V2, &v2("b", "blue", 5)).await.ok(201);
    assert_eq!(made["metadata"]["labels"], json!({"as": "v2"}));
    assert_eq!(made, server.get(&format!("{V2}/b")).await.ok(200));
    assert_eq!(server.get(&format!("{V1}/b")).await.ok(200)["spec"], json!({"color": "blue-5", "cans": 1}));
    let dry = server.post(&format!("{V2}?dryRun=All"), &v2("c", "gray", 1)).await.ok(201);
    assert_eq!(dry["metadata"]["labels"], json!({"as": "v2"}));
}

#[tokio::test]
async fn changes_are_made_in_the_version_of_the_client() {
    let server = Server::start().await;
    let hook = hook(&server).await;
    define(&server, &definition(&hook)).await;
    server.post(V1, &v1("a", "red-3")).await.ok(201);
    let (one, other) = (format!("{V2}/a"), format!("{V1}/a"));
    let patched = server.patch(&one, MERGE, &json!({"spec": {"shade": {"depth": 4}}})).await.ok(200);
    assert_eq!(patched["spec"]["shade"], json!({"name": "red", "depth": 4}));
    assert_eq!(patched["metadata"]["generation"], 2);
    assert_eq!(server.get(&other).await.ok(200)["spec"]["color"], "red-4");
    let replace = json!([{"op": "replace", "path": "/spec/shade/name", "value": "blue"}]);
    server.patch(&one, JSON_PATCH, &replace).await.ok(200);
    let mut next = server.get(&one).await.ok(200);
    next["spec"]["boxes"] = json!(7);
    server.put(&one, &next).await.ok(200);
    server.put(&one, &next).await.fails(409, "Conflict");
    let scale = server.get(&format!("{one}/scale")).await.ok(200);
    assert_eq!(scale["spec"]["replicas"], 7);
    server.patch(&format!("{one}/scale"), MERGE, &json!({"spec": {"replicas": 8}})).await.ok(200);
    server.patch(&format!("{one}/status"), MERGE, &json!({"status": {"replicas": 2}})).await.ok(200);
    let seen = server.get(&other).await.ok(200);
    assert_eq!(seen["spec"], json!({"color": "blue-4", "cans": 8}));
    assert_eq!(seen["status"], json!({"replicas": 2}));

    let applied =
        json!({"apiVersion": "example.com/v2", "kind": "Paint", "spec": {"shade": {"name": "green"}}});
    let path = format!("{one}?fieldManager=m&force=true");
    let after = server.patch(&path, APPLY, &applied).await.ok(200);
    assert_eq!(after["spec"]["shade"], json!({"name": "green", "depth": 4}));
    assert_eq!(server.get(&other).await.ok(200)["spec"]["color"], "green-4");
    let gone = server.delete(&one).await.ok(200);
    assert_eq!(gone["status"], "Success");
    server.get(&other).await.fails(404, "NotFound");
}

#[tokio::test]
async fn lists_are_converted_together_and_selected_afterwards() {
    let server = Server::start().await;
    let hook = hook(&server).await;
    define(&server, &definition(&hook)).await;
    for (name, color) in [("a", "red-1"), ("b", "blue-2"), ("c", "red-3")] {
        server.post(V1, &v1(name, color)).await.ok(201);
    }
    let names = |list: &Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|it| it["metadata"]["name"].to_string()).collect()
    };
    let list = server.get(&format!("{V2}?limit=2")).await.ok(200);
    assert_eq!(names(&list), ["\"a\"", "\"b\""]);
    assert_eq!(list["items"][0]["spec"]["shade"]["name"], "red");
    assert_eq!(hook.take()[0]["objects"].as_array().unwrap().len(), 2);
    let next = list["metadata"]["continue"].as_str().unwrap();
    let rest = server.get(&format!("{V2}?limit=2&continue={next}")).await.ok(200);
    assert_eq!(names(&rest), ["\"c\""]);
    let red = server.get(&format!("{V2}?fieldSelector=spec.shade.name=red&limit=1")).await.ok(200);
    assert_eq!(names(&red), ["\"a\""]);
    let next = red["metadata"]["continue"].as_str().unwrap();
    let path = format!("{V2}?fieldSelector=spec.shade.name=red&limit=1&continue={next}");
    assert_eq!(names(&server.get(&path).await.ok(200)), ["\"c\""]);
    assert_eq!(names(&server.get(&format!("{V2}?labelSelector=as=v2")).await.ok(200)).len(), 3);
    assert_eq!(names(&server.get(&format!("{V2}?labelSelector=as=v1")).await.ok(200)).len(), 0);
    let all = server.get("/apis/example.com/v2/paints?resourceVersion=0").await.ok(200);
    assert_eq!(names(&all).len(), 3);
    let before = hook.take().len();
    assert_eq!(before, 1, "only what was new was asked for");
    server.delete(&format!("{V2}?fieldSelector=spec.shade.name=red")).await.ok(200);
    assert_eq!(names(&server.get(V1).await.ok(200)), ["\"b\""]);
}

#[tokio::test]
async fn watches_show_converted_objects_and_end_where_there_are_none() {
    let server = Server::start().await;
    let hook = hook(&server).await;
    define(&server, &definition(&hook)).await;
    server.post(V1, &v1("a", "red-1")).await.ok(201);
    let red = format!("{V2}?watch=true&fieldSelector=spec.shade.name=red");
    let mut watch = server.watch(&red, JSON).await;
    let first = watch.event().await.expect("an event");
    assert_eq!((&first["type"], &first["object"]["spec"]["shade"]["depth"]), (&json!("ADDED"), &json!(1)));
    server.patch(&format!("{V1}/a"), MERGE, &json!({"spec": {"color": "red-2"}})).await.ok(200);
    let changed = watch.event().await.expect("an event");
    assert_eq!(
        (&changed["type"], &changed["object"]["spec"]["shade"]["depth"]),
        (&json!("MODIFIED"), &json!(2))
    );
    server.patch(&format!("{V1}/a"), MERGE, &json!({"spec": {"color": "blue-2"}})).await.ok(200);
    let left = watch.event().await.expect("an event");
    assert_eq!((&left["type"], &left["object"]["spec"]["shade"]["name"]), (&json!("DELETED"), &json!("red")));

    server.post(V1, &v1("odd", "red-1")).await.ok(201);
    let message = "conversion webhook for example.com/v1, Kind=Paint failed: I do not know odd paints";
    let failed = watch.event().await.expect("an event");
    assert_eq!(failed["type"], "ERROR");
    assert_eq!((&failed["object"]["code"], &failed["object"]["message"]), (&json!(500), &json!(message)));
    assert_eq!(watch.event().await, None);
    let refused = server.get(&format!("{V2}/odd")).await;
    assert_eq!((&refused.ok(500)["message"], refused.ok(500).get("reason")), (&json!(message), None));
    assert_eq!(server.get(V2).await.ok(500)["message"], message);
    assert_eq!(server.get(&format!("{V2}/a")).await.status, 200);
    let refused = server.post(V2, &v2("odd", "red", 1)).await;
    assert_eq!(refused.ok(500)["message"], message.replace("/v1", "/v2"));
    server.delete(&format!("{V1}/odd")).await.ok(200);
    assert_eq!(server.get(V2).await.status, 200);
}

#[tokio::test]
async fn what_was_stored_before_is_converted_and_stored_anew() {
    let server = Server::start().await;
    let hook = hook(&server).await;
    define(&server, &definition(&hook)).await;
    server.post(V1, &v1("a", "red-1")).await.ok(201);
    let change = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/0/served", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    let after = server.patch(DEFINITION, JSON_PATCH, &change).await.ok(200);
    assert_eq!(after["status"]["storedVersions"], json!(["v1", "v2"]));
    crate::custom::gone(&server, V1).await;
    let before = server.get(&format!("{V2}/a")).await.ok(200);
    assert_eq!(before["spec"]["shade"], json!({"name": "red", "depth": 1}));
    // To write what is there is how objects come into the version that is stored now.
    let rewritten = server.put(&format!("{V2}/a"), &before).await.ok(200);
    assert_ne!(rewritten["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    assert_eq!(rewritten["metadata"]["generation"], before["metadata"]["generation"]);
    hook.take();
    let again = server.put(&format!("{V2}/a"), &rewritten).await.ok(200);
    assert_eq!(again["metadata"]["resourceVersion"], rewritten["metadata"]["resourceVersion"]);
    assert_eq!(hook.take(), Vec::<Value>::new());
}

#[tokio::test]
async fn answers_are_checked() {
    let server = Server::start().await;
    let hook = Webhook::start(&server, |_, request| {
        let mut objects = convert(request);
        match objects[0]["metadata"]["name"].as_str().unwrap() {
            "none" => return success(Vec::new()),
            "uid" => return json!({"uid": "x", "result": {"status": "Success"}}),
            "moved" => objects[0]["metadata"]["name"] = json!("elsewhere"),
            "old" => objects[0]["apiVersion"] = json!("example.com/v3"),
            "label" => objects[0]["metadata"]["labels"] = json!({"a": "not a label"}),
            _ => {}
        }
        success(objects)
    })
    .await;
    define(&server, &definition(&hook)).await;
    let prefix = "conversion webhook for example.com/v1, Kind=Paint";
    for (name, expected) in [
        ("none", " returned 0 objects, expected 1"),
        ("uid", " failed: expected response.uid="),
        ("moved", " returned invalid object: must have the same name: moved != elsewhere"),
        (
            "old",
            " returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v3)",
        ),
        ("label", " returned invalid metadata: metadata.labels: Invalid value: \"not a label\""),
    ] {
        server.post(V1, &v1(name, "red-1")).await.ok(201);
        let answer = server.get(&format!("{V2}/{name}")).await;
        let message = answer.ok(500)["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("{prefix}{expected}")), "{message}");
    }
    let gone = json!([{"op": "replace", "path": "/spec/conversion/webhook/clientConfig",
                       "value": {"url": "https://127.0.0.1:1/convert"}}]);
    server.patch(DEFINITION, JSON_PATCH, &gone).await.ok(200);
    server.post(V1, &v1("late", "red-1")).await.ok(201);
    let expected = format!(
        "{prefix} failed: Post \"https://127.0.0.1:1/convert?timeout=30s\": dial tcp 127.0.0.1:1: connect: connection \
         refused"
    );
    let waiting = async {
        while message(&server.get(&format!("{V2}/late")).await.body) != expected {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::http::PATIENCE, waiting).await.expect("the new address is asked");
}
