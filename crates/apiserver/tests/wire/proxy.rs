//! Requests to what pods, services and nodes serve, as far as their addresses.

use http::Method;
use http::header::LOCATION;
use serde_json::json;

use crate::http::MERGE;
use crate::server::{PODS, Server, pod};

#[tokio::test]
async fn an_address_is_asked_for() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    for (path, code, reason, text) in [
        (format!("{PODS}/a/proxy/x"), 400, "BadRequest", "address not allowed"),
        (format!("{PODS}/b/proxy/x"), 404, "NotFound", "pods \"b\" not found"),
        (format!("{PODS}/ftp:a:80/proxy/x"), 400, "BadRequest", "invalid pod request \"ftp:a:80\""),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            server.call(method, &path).send().await.fails_with(code, reason, text);
        }
    }
    // Not the server's own addresses.
    let own = json!({"status": {"podIP": "127.0.0.1"}});
    server.patch(&format!("{PODS}/a/status"), MERGE, &own).await.ok(200);
    server.get(&format!("{PODS}/a:80/proxy/x")).await.fails_with(400, "BadRequest", "address not allowed");

    let services = "/api/v1/namespaces/default/services";
    let service =
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}});
    server.post(services, &service).await.ok(201);
    let text = "no service port 81 found for service \"s\"";
    server.get(&format!("{services}/s:81/proxy/")).await.fails_with(503, "ServiceUnavailable", text);
    let endpoints = json!({"metadata": {"name": "s"}});
    server.post("/api/v1/namespaces/default/endpoints", &endpoints).await.ok(201);
    let text = "no endpoints available for service \"s\"";
    server.get(&format!("{services}/s:80/proxy/")).await.fails_with(503, "ServiceUnavailable", text);
    // An address that is not the pod's that it is said to be.
    let target = json!({"kind": "Pod", "namespace": "default", "name": "a"});
    let addresses = json!([{"ip": "192.0.2.9", "targetRef": target}]);
    let forged = json!({"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]});
    server.patch("/api/v1/namespaces/default/endpoints/s", MERGE, &forged).await.ok(200);
    let text = "no endpoints available for service \"s:80\"";
    server.get(&format!("{services}/s:80/proxy/")).await.fails_with(503, "ServiceUnavailable", text);
    server.get("/api/v1/nodes/n/proxy/").await.fails(404, "NotFound");
}

#[tokio::test]
async fn a_page_is_asked_for_by_its_directory() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    let status = json!({"status": {"podIP": "192.0.2.1"}});
    server.patch(&format!("{PODS}/a/status"), MERGE, &status).await.ok(200);
    let answer = server.get(&format!("{PODS}/a:80/proxy?b=c")).await;
    assert_eq!(answer.status, 301);
    assert_eq!(answer.headers[LOCATION], format!("{PODS}/a:80/proxy/?b=c"));
    let user = server.client("somebody", &[]);
    user.get(&format!("{PODS}/a:80/proxy/")).await.fails(403, "Forbidden");
}
