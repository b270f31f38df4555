//! Who serves which group and version.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::overload::eventually;
use crate::server::Server;

const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[tokio::test]
async fn a_service_is_named_by_what_it_serves() {
    let server = Server::start().await;
    let mut service = json!({
        "metadata": {"name": "a"},
        "spec": {
            "group": "a.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
            "service": {"namespace": "n", "name": "s"},
        },
    });
    server.post(SERVICES, &service).await.invalid(&[("metadata.name", "FieldValueInvalid")]);
    service["metadata"]["name"] = json!("v1.a.example");
    let made = server.post(SERVICES, &service).await.ok(201);
    assert_eq!((&made["spec"]["service"]["port"], &made["status"]), (&json!(443), &json!({})));
    assert!(made["metadata"].get("generation").is_none(), "{made}");
    let condition = json!({"type": "Available", "status": "False", "reason": "MissingEndpoints"});
    let status = json!({"status": {"conditions": [condition]}});
    server.patch(&format!("{SERVICES}/v1.a.example/status"), MERGE, &status).await.ok(200);
    let cells = row(&server, "v1.a.example").await;
    assert_eq!(cells[..3], [json!("v1.a.example"), json!("n/s"), json!("False (MissingEndpoints)")]);
}

#[tokio::test]
async fn what_is_local_is_available() {
    let server = Server::start().await;
    let apps = server.get(&format!("{SERVICES}/v1.apps")).await.ok(200);
    assert_eq!(
        apps["spec"],
        json!({"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15})
    );
    assert_eq!(apps["metadata"]["labels"], json!({"kube-aggregator.kubernetes.io/automanaged": "onstart"}));
    let condition = &apps["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"]),
        (&json!("Available"), &json!("True"), &json!("Local"))
    );
    assert_eq!(condition["lastTransitionTime"], apps["metadata"]["creationTimestamp"]);
    assert_eq!(row(&server, "v1.apps").await[1..3], [json!("Local"), json!("True")]);
    let core = server.get(&format!("{SERVICES}/v1.")).await.ok(200);
    assert_eq!(
        (&core["spec"]["groupPriorityMinimum"], &core["spec"]["versionPriority"]),
        (&json!(18000), &json!(1))
    );
    // One for each group and version that is served, but for that of the APIServices.
    let list = server.get(SERVICES).await.ok(200);
    let named: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["metadata"]["name"].as_str().unwrap())
        .collect();
    let groups = server.get("/apis").await.ok(200);
    let versions = groups["groups"].as_array().unwrap().iter().flat_map(|group| {
        let versions = group["versions"].as_array().unwrap().iter();
        versions.map(|one| (group["name"].as_str().unwrap(), one["version"].as_str().unwrap()))
    });
    let mut served: Vec<String> = versions
        .filter(|(group, _)| *group != "apiregistration.k8s.io")
        .map(|(group, version)| format!("{version}.{group}"))
        .chain(["v1.".to_owned()])
        .collect();
    served.sort();
    assert_eq!(named, served);
}

#[tokio::test]
async fn those_of_custom_resources_follow_their_definitions() {
    let server = Server::start().await;
    let version = |name: &str, served: bool| {
        json!({
            "name": name, "served": served, "storage": name == "v1",
            "schema": {"openAPIV3Schema": {"type": "object"}},
        })
    };
    let definition = json!({
        "metadata": {"name": "gears.a.example"},
        "spec": {
            "group": "a.example", "scope": "Namespaced", "names": {"plural": "gears", "kind": "Gear"},
            "versions": [version("v1", true), version("v2", false)],
        },
    });
    const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    server.post(DEFINITIONS, &definition).await.ok(201);
    let one = format!("{SERVICES}/v1.a.example");
    eventually(async || server.get(&one).await.status == 200).await;
    let made = server.get(&one).await.ok(200);
    assert_eq!(made["metadata"]["labels"], json!({"kube-aggregator.kubernetes.io/automanaged": "true"}));
    assert_eq!(
        made["spec"],
        json!({"group": "a.example", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100})
    );
    assert_eq!(server.get(&format!("{SERVICES}/v2.a.example")).await.status, 404);
    // What somebody takes away or changes comes back.
    server.delete(&one).await.ok(200);
    eventually(async || server.get(&one).await.status == 200).await;
    server.patch(&one, MERGE, &json!({"spec": {"versionPriority": 7}})).await.ok(200);
    eventually(async || server.get(&one).await.ok(200)["spec"]["versionPriority"] == 100).await;
    server.delete(&format!("{DEFINITIONS}/gears.a.example")).await.ok(200);
    eventually(async || server.get(&one).await.status == 404).await;
}

/// The cells of an APIService's row.
async fn row(server: &Server, name: &str) -> Vec<Value> {
    let table = server.get_as(SERVICES, TABLE).await.ok(200);
    let rows = table["rows"].as_array().unwrap().clone();
    let found = rows.iter().find(|row| row["cells"][0] == name).unwrap_or_else(|| panic!("{name}: {table}"));
    found["cells"].as_array().unwrap().clone()
}
