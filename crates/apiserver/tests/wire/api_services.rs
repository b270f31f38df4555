//! Who serves which group and version.

use serde_json::json;

use crate::http::MERGE;
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
    let table = server.get_as(SERVICES, TABLE).await.ok(200);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(cells[..3], [json!("v1.a.example"), json!("n/s"), json!("False (MissingEndpoints)")]);
}

#[tokio::test]
async fn what_is_local_is_available() {
    let server = Server::start().await;
    let service = json!({
        "metadata": {"name": "v1.apps"},
        "spec": {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15},
    });
    let made = server.post(SERVICES, &service).await.ok(201);
    let condition = &made["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("Available"), &json!("True")));
    assert_eq!(condition["lastTransitionTime"], made["metadata"]["creationTimestamp"]);
    let table = server.get_as(SERVICES, TABLE).await.ok(200);
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[1..3], [json!("Local"), json!("True")]);
}
