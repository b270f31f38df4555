//! Devices and claims of them: what each kind makes of a request.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const GROUP: &str = "/apis/resource.k8s.io/v1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

async fn cells(server: &Server, path: &str) -> Vec<Value> {
    let table = server.get_as(path, TABLE).await.ok(200);
    table["rows"][0]["cells"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_claim_gets_its_devices() {
    let server = Server::start().await;
    let path = format!("{GROUP}/namespaces/default/resourceclaims");
    let (one, status) = (format!("{path}/c"), format!("{path}/c/status"));
    let claim = json!({
        "metadata": {"name": "c"},
        "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu"}}]}},
    });
    let made = server.post(&path, &claim).await.ok(201);
    let exactly = &made["spec"]["devices"]["requests"][0]["exactly"];
    assert_eq!((&exactly["allocationMode"], &exactly["count"]), (&json!("ExactCount"), &json!(1)));
    assert_eq!(made["status"], json!({}));
    assert!(made["metadata"].get("generation").is_none(), "{made}");
    assert_eq!(cells(&server, &path).await[1], "pending");
    let change = json!({"spec": {"devices": {"requests": []}}});
    server.patch(&one, MERGE, &change).await.invalid(&[("spec", "FieldValueInvalid")]);
    let reserved = json!([{"resource": "pods", "name": "p", "uid": "1"}]);
    let answer = server.patch(&status, MERGE, &json!({"status": {"reservedFor": reserved}})).await;
    answer.invalid(&[("status.reservedFor", "FieldValueForbidden")]);
    let result = json!({"request": "r", "driver": "d.example", "pool": "p", "device": "x"});
    let allocation = json!({"devices": {"results": [result]}});
    let all = json!({"status": {"allocation": allocation, "reservedFor": reserved}});
    assert_eq!(server.patch(&status, MERGE, &all).await.ok(200)["status"]["allocation"], allocation);
    assert_eq!(cells(&server, &path).await[1], "allocated,reserved");
    let other = json!({"status": {"allocation": {"devices": {"results": []}}}});
    server.patch(&status, MERGE, &other).await.invalid(&[("status.allocation", "FieldValueInvalid")]);
}

#[tokio::test]
async fn a_slice_offers_devices() {
    let server = Server::start().await;
    let path = format!("{GROUP}/resourceslices");
    let one = format!("{path}/s");
    let mut slice = json!({
        "metadata": {"name": "s"},
        "spec": {
            "driver": "d.example",
            "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "x", "taints": [{"key": "k", "effect": "NoSchedule"}]}],
        },
    });
    let made = server.post(&path, &slice).await.ok(201);
    assert_eq!(made["metadata"]["generation"], 1);
    let added = made["spec"]["devices"][0]["taints"][0]["timeAdded"].clone();
    assert!(added.is_string(), "{made}");
    // A taint that comes again without its time is the one that was there.
    let again = server.put(&one, &slice).await.ok(200);
    assert_eq!(again["spec"], made["spec"]);
    assert_eq!(again["metadata"]["generation"], 1);
    assert_eq!(cells(&server, &path).await[1..4], [json!("n"), json!("d.example"), json!("p")]);
    for (selector, count) in [("spec.nodeName=n,spec.driver=d.example", 1), ("spec.nodeName=m", 0)] {
        let list = server.get(&format!("{path}?fieldSelector={selector}")).await.ok(200);
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{selector}");
    }
    slice["spec"]["nodeName"] = json!("m");
    server.put(&one, &slice).await.invalid(&[("spec.nodeName", "FieldValueInvalid")]);
}

#[tokio::test]
async fn classes_and_templates_say_what_is_wanted() {
    let server = Server::start().await;
    let path = format!("{GROUP}/deviceclasses");
    let mut class = json!({"metadata": {"name": "c"}, "spec": {"selectors": [{}]}});
    server.post(&path, &class).await.invalid(&[("spec.selectors[0].cel", "FieldValueRequired")]);
    class["spec"] = json!({"config": [{"opaque": {"driver": "d.example", "parameters": {"a": 1}}}]});
    let made = server.post(&path, &class).await.ok(201);
    assert_eq!((&made["spec"], &made["metadata"]["generation"]), (&class["spec"], &json!(1)));
    let path = format!("{GROUP}/namespaces/default/resourceclaimtemplates");
    let template = json!({"metadata": {"name": "t"}, "spec": {"spec": {"devices": {"requests": []}}}});
    server.post(&path, &template).await.ok(201);
    let change = json!({"spec": {"metadata": {"labels": {"a": "b"}}}});
    let answer = server.patch(&format!("{path}/t"), MERGE, &change).await;
    answer.invalid(&[("spec", "FieldValueInvalid")]);
}
