//! Custom resources: from a definition to objects, and back.

use std::time::Duration;

use http::Method;
use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::http::{JSON, JSON_PATCH, MERGE, PATIENCE, PROTOBUF, STRATEGIC};
use crate::server::Server;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                        "spec": {"type": "object", "required": ["color"], "properties": {
                            "color": {"type": "string", "enum": ["red", "blue"]},
                            "replicas": {"type": "integer", "default": 1, "minimum": 0},
                            "port": {"x-kubernetes-int-or-string": true},
                            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        }},
                        "status": {"type": "object", "properties": {
                            "replicas": {"type": "integer"}, "selector": {"type": "string"},
                        }},
                    }}},
                    "subresources": {"status": {}, "scale": {
                        "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.selector",
                    }},
                    "additionalPrinterColumns": [
                        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                        {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
                    ],
                    "selectableFields": [{"jsonPath": ".spec.color"}],
                },
                {
                    "name": "v1beta1",
                    "served": true,
                    "storage": false,
                    "deprecated": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                },
            ],
        },
    })
}

fn widget(name: &str) -> Value {
    json!({
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"color": "red"},
    })
}

/// Defines a resource and waits until it is established.
pub(crate) async fn define(server: &Server, definition: &Value) -> Value {
    server.post(DEFINITIONS, definition).await.ok(201);
    let name = definition["metadata"]["name"].as_str().unwrap();
    until(server, name, "Established", "True").await
}

/// The definition once a condition has a status.
async fn until(server: &Server, name: &str, condition: &str, status: &str) -> Value {
    let waiting = async {
        loop {
            let found = server.get(&format!("{DEFINITIONS}/{name}")).await.ok(200);
            let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
            if conditions.iter().any(|one| one["type"] == condition && one["status"] == status) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("{name}: {condition} is not {status}"))
}

pub(crate) async fn gone(server: &Server, path: &str) {
    let waiting = async {
        while server.get(path).await.status != 404 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{path} is still there"));
}

#[tokio::test]
async fn a_definition_is_established_and_served() {
    let server = Server::start().await;
    let made = define(&server, &definition()).await;
    assert_eq!(made["spec"]["names"]["singular"], "widget");
    assert_eq!(made["spec"]["names"]["listKind"], "WidgetList");
    assert_eq!(made["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(made["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(made["status"]["acceptedNames"], made["spec"]["names"]);
    assert_eq!(made["metadata"]["generation"], 1);

    let groups = server.get("/apis").await.ok(200);
    let group =
        groups["groups"].as_array().unwrap().iter().find(|group| group["name"] == "example.com").unwrap();
    assert_eq!(group["preferredVersion"]["version"], "v1");
    assert_eq!(group["versions"][1]["groupVersion"], "example.com/v1beta1");
    let resources = server.get("/apis/example.com/v1").await.ok(200);
    let names: Vec<&str> =
        resources["resources"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["widgets", "widgets/scale", "widgets/status"]);
    assert_eq!(resources["resources"][0]["shortNames"], json!(["wd"]));
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let document = server.get_as("/apis", aggregated).await.ok(200);
    assert!(
        document["items"].as_array().unwrap().iter().any(|item| item["metadata"]["name"] == "example.com")
    );

    let v3 = server.get("/openapi/v3/apis/example.com/v1").await.ok(200);
    let schema = &v3["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(schema["properties"]["spec"]["properties"]["replicas"]["default"], 1);
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    assert!(schema["properties"]["metadata"]["allOf"].is_array());
    assert!(v3["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/scale"].is_object());
    let v2 = server.get("/openapi/v2").await.ok(200);
    assert!(v2["definitions"]["com.example.v1.WidgetList"].is_object());
}

#[tokio::test]
async fn objects_live_as_others_do() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let made = server.post(WIDGETS, &widget("a")).await.ok(201);
    assert_eq!(made["spec"], json!({"color": "red", "replicas": 1}));
    assert_eq!(made["metadata"]["generation"], 1);
    let path = format!("{WIDGETS}/a");
    assert_eq!(server.get(&path).await.ok(200), made);
    server.post(WIDGETS, &widget("a")).await.fails(409, "AlreadyExists");
    let list = server.get("/apis/example.com/v1/widgets").await.ok(200);
    assert_eq!((&list["kind"], &list["items"][0]), (&json!("WidgetList"), &made));

    let patched = server
        .patch(&path, MERGE, &json!({"spec": {"replicas": 3}, "status": {"replicas": 9}}))
        .await
        .ok(200);
    assert_eq!((&patched["spec"]["replicas"], patched.get("status")), (&json!(3), None));
    assert_eq!(patched["metadata"]["generation"], 2);
    let operations = json!([{"op": "replace", "path": "/spec/color", "value": "blue"}]);
    assert_eq!(server.patch(&path, JSON_PATCH, &operations).await.ok(200)["spec"]["color"], "blue");
    server.patch(&path, STRATEGIC, &json!({})).await.fails(415, "UnsupportedMediaType");

    let change = json!({"spec": {"replicas": 7}, "status": {"replicas": 2}});
    let status = server.patch(&format!("{path}/status"), MERGE, &change).await.ok(200);
    assert_eq!((&status["spec"]["replicas"], &status["status"]["replicas"]), (&json!(3), &json!(2)));
    assert_eq!(status["metadata"]["generation"], 3);

    let mut stale = widget("a");
    let refused = server.put(&path, &stale).await.fails(422, "Invalid");
    assert!(refused["message"].as_str().unwrap().ends_with("must be specified for an update"), "{refused}");
    stale["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    server.put(&path, &stale).await.fails(409, "Conflict");
    stale["metadata"]["resourceVersion"] = status["metadata"]["resourceVersion"].clone();
    let put = server.put(&path, &stale).await.ok(200);
    assert_eq!((&put["spec"]["color"], &put["status"]["replicas"]), (&json!("red"), &json!(2)));

    server.post(WIDGETS, &widget("b")).await.ok(201);
    let red = server.get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dred&limit=1")).await.ok(200);
    assert_eq!(red["items"].as_array().unwrap().len(), 1);
    assert!(red["metadata"]["continue"].is_string());
    server.get(&format!("{WIDGETS}?fieldSelector=spec.port%3D1")).await.fails(400, "BadRequest");
    server.delete(&path).await.ok(200);
    server.get(&path).await.fails(404, "NotFound");
    assert_eq!(server.delete(WIDGETS).await.ok(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn objects_are_checked_against_their_schema() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let mut wrong = widget("a");
    wrong["spec"] = json!({"replicas": "string", "color": "green", "port": true});
    let status = server.post(WIDGETS, &wrong).await.fails(422, "Invalid");
    assert_eq!(
        status["message"],
        "Widget.example.com \"a\" is invalid: [spec.color: Unsupported value: \"green\": supported values: \"blue\", \
         \"red\", spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \
         \"boolean\", \
         spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\", \
         .spec.replicas: Invalid value: 0: .spec.replicas accessor error: string is of the type string, expected \
         int64]"
    );
    let mut unknown = widget("a");
    unknown["spec"]["what"] = json!(1);
    unknown["spec"]["free"] = json!({"any": {"thing": 1}});
    let strict =
        server.post(&format!("{WIDGETS}?fieldValidation=Strict"), &unknown).await.fails(400, "BadRequest");
    assert_eq!(
        strict["message"],
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.what\""
    );
    let warned = server.post(&format!("{WIDGETS}?fieldValidation=Warn"), &unknown).await;
    assert_eq!(warned.warnings(), [r#"299 - "unknown field \"spec.what\"""#]);
    assert_eq!(warned.ok(201)["spec"], json!({"color": "red", "replicas": 1, "free": {"any": {"thing": 1}}}));
    let twice = r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"b"},
        "spec":{"color":"red","color":"blue"}}"#;
    let call = server.call(Method::POST, &format!("{WIDGETS}?fieldValidation=Strict"));
    let twice = call.body(JSON, twice).send().await.fails(400, "BadRequest");
    assert!(twice["message"].as_str().unwrap().ends_with("duplicate field \"spec.color\""), "{twice}");
    server
        .post(WIDGETS, &json!({"apiVersion": "example.com/v2", "kind": "Widget"}))
        .await
        .fails(400, "BadRequest");
    assert_eq!(server.get_as(WIDGETS, PROTOBUF).await.status, 406);
}

#[tokio::test]
async fn versions_tables_and_scales_are_served() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    server.post(WIDGETS, &widget("a")).await.ok(201);
    let older = WIDGETS.replace("/v1/", "/v1beta1/");
    let answer = server.get(&format!("{older}/a")).await;
    assert_eq!(
        answer.warnings(),
        [r#"299 - "example.com/v1beta1 Widget is deprecated; use example.com/v1 Widget""#]
    );
    assert_eq!(answer.ok(200)["apiVersion"], "example.com/v1beta1");
    let mut beta = widget("b");
    beta["apiVersion"] = json!("example.com/v1beta1");
    server.post(&older, &beta).await.ok(201);
    assert_eq!(server.get(&format!("{WIDGETS}/b")).await.ok(200)["apiVersion"], "example.com/v1");

    let table = server.get_as(WIDGETS, TABLE).await.ok(200);
    let columns: Vec<&Value> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(columns, ["Name", "Color", "Replicas"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", "red", 1]));
    let table = server.get_as(&older, TABLE).await.ok(200);
    assert_eq!(table["columnDefinitions"][1]["name"], "Age");

    let path = format!("{WIDGETS}/a/scale");
    let scale = server.get(&path).await.ok(200);
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    let scaled = server.patch(&path, MERGE, &json!({"spec": {"replicas": 4}})).await.ok(200);
    assert_eq!(scaled["spec"]["replicas"], 4);
    assert_eq!(server.get(&format!("{WIDGETS}/a")).await.ok(200)["spec"]["replicas"], 4);
}

#[tokio::test]
async fn watches_follow_objects_and_end_with_the_resource() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let mut watch = server.watch(&format!("{WIDGETS}?watch=true&resourceVersion=0"), JSON).await;
    let made = server.post(WIDGETS, &widget("a")).await.ok(201);
    let event = watch.event().await.expect("an event");
    assert_eq!((&event["type"], &event["object"]), (&json!("ADDED"), &made));
    server.delete(&format!("{WIDGETS}/a")).await.ok(200);
    assert_eq!(watch.event().await.expect("an event")["type"], "DELETED");
    server.delete(&format!("{DEFINITIONS}/widgets.example.com")).await.ok(200);
    assert_eq!(watch.event().await, None);
}

#[tokio::test]
async fn a_definition_goes_after_its_objects() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let mut held = widget("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(WIDGETS, &held).await.ok(201);
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let leaving = server.delete(&path).await.ok(200);
    assert_eq!(leaving["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    let object = format!("{WIDGETS}/held");
    let deleting = async {
        while server.get(&object).await.ok(200)["metadata"]["deletionTimestamp"].is_null() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, deleting).await.expect("the object is being deleted");
    let refused = server.post(WIDGETS, &widget("b")).await.fails(405, "MethodNotAllowed");
    assert_eq!(refused["message"], "create not allowed while custom resource definition is terminating");
    server.patch(&object, MERGE, &json!({"metadata": {"finalizers": null}})).await.ok(200);
    gone(&server, &path).await;
    gone(&server, WIDGETS).await;
    assert_eq!(server.get("/apis/example.com/v1").await.status, 404);
    // The names are free again, and nothing of what was there comes back.
    define(&server, &definition()).await;
    assert_eq!(server.get(WIDGETS).await.ok(200)["items"], json!([]));
}

#[tokio::test]
async fn names_belong_to_the_first() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    let mut other = definition();
    other["metadata"]["name"] = json!("gadgets.example.com");
    other["spec"]["names"] = json!({"plural": "gadgets", "kind": "Gadget", "shortNames": ["wd"]});
    server.post(DEFINITIONS, &other).await.ok(201);
    let refused = until(&server, "gadgets.example.com", "NamesAccepted", "False").await;
    let condition = &refused["status"]["conditions"][0];
    assert_eq!(
        (&condition["reason"], &condition["message"]),
        (&json!("ShortNamesConflict"), &json!("\"wd\" is already in use"))
    );
    assert_eq!(server.get("/apis/example.com/v1/gadgets").await.status, 404);
    server.delete(&format!("{DEFINITIONS}/widgets.example.com")).await.ok(200);
    until(&server, "gadgets.example.com", "Established", "True").await;
    assert_eq!(server.get("/apis/example.com/v1/gadgets").await.status, 200);
}

#[tokio::test]
async fn a_changed_schema_holds_for_what_is_there() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    server.post(WIDGETS, &widget("a")).await.ok(201);
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let change = json!([{
        "op": "add",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size",
        "value": {"type": "string", "default": "large"},
    }]);
    let changed = server.patch(&path, JSON_PATCH, &change).await.ok(200);
    assert_eq!(changed["metadata"]["generation"], 2);
    let filled = async {
        while server.get(&format!("{WIDGETS}/a")).await.ok(200)["spec"]["size"] != "large" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, filled).await.expect("the default of the new schema");
    let refused =
        server.patch(&path, MERGE, &json!({"spec": {"scope": "Cluster"}})).await.fails(422, "Invalid");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("spec.scope: Invalid value: \"Cluster\": field is immutable")
    );
}

#[tokio::test]
async fn objects_are_pruned_while_their_definition_changes() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    for round in 0..10 {
        // With other columns it is another kind.
        let column = json!({"name": format!("C{round}"), "type": "string", "jsonPath": ".spec.color"});
        let change =
            json!([{"op": "add", "path": "/spec/versions/0/additionalPrinterColumns/-", "value": column}]);
        server.patch(&format!("{DEFINITIONS}/widgets.example.com"), JSON_PATCH, &change).await.ok(200);
        for number in 0..5 {
            let mut unknown = widget(&format!("w-{round}-{number}"));
            unknown["spec"]["what"] = json!(1);
            let answer = server.post(WIDGETS, &unknown).await;
            // Who comes right in between is told to try again.
            if answer.status != 503 {
                assert_eq!(answer.ok(201)["spec"].get("what"), None);
            }
        }
    }
}

#[tokio::test]
async fn metadata_alone_has_protobuf() {
    let server = Server::start().await;
    define(&server, &definition()).await;
    server.post(WIDGETS, &widget("a")).await.ok(201);
    let accept = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let answer = server.call(Method::GET, &format!("{WIDGETS}/a")).header(ACCEPT, &accept).send().await;
    assert_eq!((answer.status, answer.content_type().as_str()), (200, PROTOBUF));
}

#[tokio::test]
async fn rules_hold_for_objects_and_their_changes() {
    let server = Server::start().await;
    let mut definition = definition();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] = json!([
        {"rule": "self.color != 'blue' || self.replicas > 1", "message": "blue needs company", "fieldPath": ".replicas"},
        {"rule": "self.replicas >= oldSelf.replicas", "messageExpression": "'not below ' + string(oldSelf.replicas)"},
    ]);
    define(&server, &definition).await;
    let mut blue = widget("a");
    blue["spec"]["color"] = json!("blue");
    let refused = server.post(WIDGETS, &blue).await.fails(422, "Invalid");
    assert_eq!(
        refused["message"],
        "Widget.example.com \"a\" is invalid: spec.replicas: Invalid value: \"object\": blue needs company"
    );
    blue["spec"]["replicas"] = json!(5);
    server.post(WIDGETS, &blue).await.ok(201);
    let path = format!("{WIDGETS}/a");
    let refused = server.patch(&path, MERGE, &json!({"spec": {"replicas": 3}})).await.fails(422, "Invalid");
    assert!(
        refused["message"].as_str().unwrap().ends_with("spec: Invalid value: \"object\": not below 5"),
        "{refused}"
    );
    server.patch(&path, MERGE, &json!({"spec": {"replicas": 6}})).await.ok(200);
    let unchecked =
        server.patch(&path, MERGE, &json!({"spec": {"replicas": "x"}})).await.fails(422, "Invalid");
    assert!(
        unchecked["message"].as_str().unwrap().contains("some validation rules were not checked"),
        "{unchecked}"
    );
}
