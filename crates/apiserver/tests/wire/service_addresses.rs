//! Where Services get their addresses from, and the objects that show them.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ADDRESSES: &str = "/apis/networking.k8s.io/v1/ipaddresses";
const RANGES: &str = "/apis/networking.k8s.io/v1/servicecidrs";

fn service(name: &str, address: Option<&str>) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}
    });
    if let Some(address) = address {
        service["spec"]["clusterIP"] = json!(address);
    }
    service
}

fn ready() -> Value {
    json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
}

#[tokio::test]
async fn an_address_is_shown_as_long_as_its_service_has_it() {
    let server = Server::start().await;
    let made = server.post(SERVICES, &service("web", None)).await.ok(201);
    let address = made["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let path = format!("{ADDRESSES}/{address}");
    let shown = server.get(&path).await.ok(200);
    assert_eq!(
        shown["metadata"]["labels"],
        json!({
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"
        })
    );
    assert_eq!(
        shown["spec"],
        json!({"parentRef": {"resource": "services", "namespace": "default", "name": "web"}})
    );
    assert!(shown["metadata"]["uid"].is_string() && shown["metadata"]["creationTimestamp"].is_string());
    let status = server.post(SERVICES, &service("other", Some(&address))).await.fails(422, "Invalid");
    assert!(status["message"].as_str().unwrap().contains("provided IP is already allocated"), "{status}");
    assert!(!server.get(ADDRESSES).await.ok(200)["items"].as_array().unwrap().is_empty());
    server.delete(&format!("{SERVICES}/web")).await.ok(200);
    server.get(&path).await.fails(404, "NotFound");
    server.post(SERVICES, &service("other", Some(&address))).await.ok(201);
    let of_server = server.get("/api/v1/namespaces/default/services/kubernetes").await.ok(200);
    let first = of_server["spec"]["clusterIP"].as_str().unwrap();
    server.get(&format!("{ADDRESSES}/{first}")).await.ok(200);
}

#[tokio::test]
async fn an_address_that_somebody_shows_is_taken() {
    let server = Server::start().await;
    let own = json!({
        "metadata": {"name": "10.96.0.77"},
        "spec": {"parentRef": {"group": "gateway.example.com", "resource": "gateways", "name": "g"}}
    });
    server.post(ADDRESSES, &own).await.ok(201);
    let taken = service("web", Some("10.96.0.77"));
    let refusal = "provided IP is already allocated";
    server.post(&format!("{SERVICES}?dryRun=All"), &taken).await.fails_with(422, "Invalid", refusal);
    server.post(SERVICES, &taken).await.fails_with(422, "Invalid", refusal);
    server.delete(&format!("{ADDRESSES}/10.96.0.77")).await.ok(200);
    server.post(SERVICES, &taken).await.ok(201);
}

#[tokio::test]
async fn ranges_can_be_added() {
    let server = Server::start().await;
    let own = server.get(&format!("{RANGES}/kubernetes")).await.ok(200);
    assert_eq!(own["spec"]["cidrs"], json!(["10.96.0.0/12"]));
    let condition = &own["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["message"]),
        (&json!("Ready"), &json!("True"), &json!("Kubernetes default Service CIDR is ready"))
    );
    let more = json!({"metadata": {"name": "more"}, "spec": {"cidrs": ["172.30.0.0/24"]}});
    server.post(RANGES, &more).await.ok(201);
    let wanted = service("web", Some("172.30.0.9"));
    let refusal = "the provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12";
    server.post(SERVICES, &wanted).await.fails_with(422, "Invalid", refusal);
    server.patch(&format!("{RANGES}/more/status"), MERGE, &ready()).await.ok(200);
    server.get(RANGES).await.ok(200);
    server.post(SERVICES, &wanted).await.ok(201);
    server.get(&format!("{ADDRESSES}/172.30.0.9")).await.ok(200);
}

#[tokio::test]
async fn a_full_range_is_followed_by_the_next() {
    let server = Server::start_with(&["--service-cluster-ip-range=10.7.0.0/30"]).await;
    server.post(SERVICES, &service("a", None)).await.ok(201);
    server.post(SERVICES, &service("b", None)).await.fails_with(500, "InternalError", "range is full");
    let more = json!({"metadata": {"name": "more"}, "spec": {"cidrs": ["10.8.0.0/24"]}});
    server.post(RANGES, &more).await.ok(201);
    server.patch(&format!("{RANGES}/more/status"), MERGE, &ready()).await.ok(200);
    server.get(RANGES).await.ok(200);
    let made = server.post(SERVICES, &service("b", None)).await.ok(201);
    let address = made["spec"]["clusterIP"].as_str().unwrap();
    assert!(address.starts_with("10.8.0."), "{address}");
}
