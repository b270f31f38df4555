//! Ingresses, network policies and the ranges of services: what each kind makes of a request.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const GROUP: &str = "/apis/networking.k8s.io/v1";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

async fn cells(server: &Server, path: &str) -> Vec<Value> {
    let table = server.get_as(path, TABLE).await.ok(200);
    table["rows"][0]["cells"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_ingress_counts_what_is_asked_for() {
    let server = Server::start().await;
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let made =
        server.post(INGRESSES, &object("Ingress", "web", json!({"defaultBackend": backend}))).await.ok(201);
    assert_eq!(made["status"], json!({"loadBalancer": {}}));
    assert_eq!(made["metadata"]["generation"], 1);
    let one = format!("{INGRESSES}/web");
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    let after = server.patch(&format!("{one}/status"), MERGE, &status).await.ok(200);
    assert_eq!(after["metadata"]["generation"], 1);
    let rules = json!({"spec": {"ingressClassName": "nginx", "rules": [{"host": "example.com"}]}});
    let after = server.patch(&one, MERGE, &rules).await.ok(200);
    assert_eq!(after["metadata"]["generation"], 2);
    assert_eq!(after["status"]["loadBalancer"]["ingress"], json!([{"ip": "192.0.2.1"}]));
    assert_eq!(cells(&server, &one).await[..5], ["web", "nginx", "example.com", "192.0.2.1", "80"]);
    let wrong = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.02.1"}]}}});
    server
        .patch(&format!("{one}/status"), MERGE, &wrong)
        .await
        .invalid(&[("status.loadBalancer.ingress[0].ip", "FieldValueInvalid")]);
    server
        .post(INGRESSES, &object("Ingress", "b", json!({})))
        .await
        .invalid(&[("spec", "FieldValueInvalid")]);
}

#[tokio::test]
async fn a_class_keeps_its_controller() {
    let server = Server::start().await;
    let path = format!("{GROUP}/ingressclasses");
    let spec = json!({"controller": "example.com/a", "parameters": {"kind": "K", "name": "n"}});
    let made = server.post(&path, &object("IngressClass", "a", spec)).await.ok(201);
    assert_eq!(made["spec"]["parameters"]["scope"], "Cluster");
    assert_eq!(made["metadata"]["generation"], 1);
    let other = json!({"spec": {"controller": "example.com/b"}});
    let answer = server.patch(&format!("{path}/a"), MERGE, &other).await;
    answer.invalid(&[("spec.controller", "FieldValueInvalid")]);
}

#[tokio::test]
async fn a_policy_is_completed() {
    let server = Server::start().await;
    let spec = json!({"egress": [{"ports": [{"port": 53}]}]});
    let made = server.post(POLICIES, &object("NetworkPolicy", "a", spec)).await.ok(201);
    let egress = json!([{"ports": [{"port": 53, "protocol": "TCP"}]}]);
    assert_eq!(
        made["spec"],
        json!({"podSelector": {}, "egress": egress, "policyTypes": ["Ingress", "Egress"]})
    );
    assert_eq!(cells(&server, &format!("{POLICIES}/a")).await[..2], ["a", "<none>"]);
    let wrong = json!({"spec": {"ingress": [{"from": [{}]}]}});
    let answer = server.patch(&format!("{POLICIES}/a"), MERGE, &wrong).await;
    answer.invalid(&[("spec.ingress[0].from[0]", "FieldValueRequired")]);
}

#[tokio::test]
async fn an_address_is_its_name() {
    let server = Server::start().await;
    let path = format!("{GROUP}/ipaddresses");
    let parent = json!({"parentRef": {"resource": "services", "namespace": "default", "name": "a"}});
    let made = server.post(&path, &object("IPAddress", "2001:db8::1", parent.clone())).await.ok(201);
    assert_eq!(made["metadata"].get("generation"), None);
    assert_eq!(cells(&server, &format!("{path}/2001:db8::1")).await, ["2001:db8::1", "services/default/a"]);
    let status = server.post(&path, &object("IPAddress", "2001:DB8::2", parent.clone())).await;
    status.invalid(&[("metadata.name", "FieldValueInvalid")]);
    let answer = server.post(&path, &object("IPAddress", "web", parent)).await;
    answer.invalid(&[("metadata.name", "FieldValueInvalid")]);
    server
        .post(&path, &object("IPAddress", "192.0.2.1", json!({})))
        .await
        .invalid(&[("spec.parentRef", "FieldValueRequired")]);
}

#[tokio::test]
async fn a_range_gets_a_second_one() {
    let server = Server::start().await;
    let path = format!("{GROUP}/servicecidrs");
    let made =
        server.post(&path, &object("ServiceCIDR", "a", json!({"cidrs": ["192.0.2.0/24"]}))).await.ok(201);
    assert_eq!((&made["status"], made["metadata"].get("generation")), (&json!({}), None));
    let second = json!({"spec": {"cidrs": ["192.0.2.0/24", "2001:db8::/64"]}});
    server.patch(&format!("{path}/a"), MERGE, &second).await.ok(200);
    assert_eq!(cells(&server, &format!("{path}/a")).await[1], "192.0.2.0/24,2001:db8::/64");
    let first = json!({"spec": {"cidrs": ["192.0.2.0/24"]}});
    let answer = server.patch(&format!("{path}/a"), MERGE, &first).await;
    answer.invalid(&[("spec.cidrs", "FieldValueInvalid")]);
    server
        .post(&path, &object("ServiceCIDR", "b", json!({})))
        .await
        .invalid(&[("spec.cidrs", "FieldValueRequired")]);
}
