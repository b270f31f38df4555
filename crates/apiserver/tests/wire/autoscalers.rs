//! Autoscalers: one object in two versions.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const V1: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
const V2: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

fn target() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
}

fn autoscaler(version: &str, spec: Value) -> Value {
    json!({
        "apiVersion": format!("autoscaling/{version}"),
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": spec,
    })
}

#[tokio::test]
async fn either_version_shows_what_the_other_wrote() {
    let server = Server::start().await;
    let object = autoscaler("v1", json!({"scaleTargetRef": target(), "maxReplicas": 4}));
    let made = server.post(V1, &object).await.ok(201);
    assert_eq!(made["apiVersion"], "autoscaling/v1");
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["spec"]["minReplicas"], 1);
    assert_eq!(made["spec"]["targetCPUUtilizationPercentage"], 80);
    assert_eq!(made["status"], json!({"currentReplicas": 0, "desiredReplicas": 0}));
    assert_eq!(server.get(&format!("{V1}/web")).await.ok(200), made);

    let new = server.get(&format!("{V2}/web")).await.ok(200);
    assert_eq!(new["apiVersion"], "autoscaling/v2");
    assert_eq!(new["metadata"], made["metadata"]);
    assert_eq!(new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);

    let pods = json!({"type": "Pods", "pods": {
        "metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "10"},
    }});
    let patch = json!({"spec": {"metrics": [pods]}});
    let changed = server.patch(&format!("{V2}/web"), MERGE, &patch).await.ok(200);
    assert_eq!(changed["metadata"]["generation"], 2);
    let old = server.get(&format!("{V1}/web")).await.ok(200);
    assert_eq!(old["spec"].get("targetCPUUtilizationPercentage"), None, "{old}");
    let annotation = old["metadata"]["annotations"][METRICS].as_str().unwrap();
    assert_eq!(annotation, r#"[{"type":"Pods","pods":{"metricName":"requests","targetAverageValue":"10"}}]"#);

    // A change through version 1 keeps what it has no words for.
    let patch = json!({"spec": {"maxReplicas": 5}});
    let patched = server.patch(&format!("{V1}/web"), MERGE, &patch).await.ok(200);
    assert_eq!(
        (&patched["apiVersion"], &patched["spec"]["maxReplicas"]),
        (&json!("autoscaling/v1"), &json!(5))
    );
    assert_eq!(patched["metadata"]["generation"], 3);
    let new = server.get(&format!("{V2}/web")).await.ok(200);
    assert_eq!(new["spec"]["metrics"], json!([pods]));
    assert_eq!(new["metadata"].get("annotations"), None, "{new}");

    let status =
        json!({"status": {"conditions": [{"type": "AbleToScale", "status": "True"}], "desiredReplicas": 2}});
    server.patch(&format!("{V2}/web/status"), MERGE, &status).await.ok(200);
    let status = json!({"status": {"currentReplicas": 2}});
    let after = server.patch(&format!("{V1}/web/status"), MERGE, &status).await.ok(200);
    assert_eq!(after["status"], json!({"currentReplicas": 2, "desiredReplicas": 2}));
    let new = server.get(&format!("{V2}/web")).await.ok(200);
    assert_eq!(new["status"]["conditions"][0]["type"], "AbleToScale");
    assert_eq!(new["metadata"]["generation"], 3);

    let gone = server.delete(&format!("{V1}/web")).await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    server.get(&format!("{V2}/web")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn the_rules_hold_for_both_versions() {
    let server = Server::start().await;
    let v1 =
        autoscaler("v1", json!({"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 0}));
    server.post(V1, &v1).await.invalid(&[
        ("spec.maxReplicas", "FieldValueInvalid"),
        ("spec.scaleTargetRef.apiVersion", "FieldValueInvalid"),
    ]);
    let mut v2 = autoscaler(
        "v2",
        json!({"scaleTargetRef": target(), "maxReplicas": 1, "metrics": [{"type": "Mood"}]}),
    );
    server.post(V2, &v2).await.invalid(&[("spec.metrics[0].type", "FieldValueNotSupported")]);
    v2["spec"]["metrics"] = json!([]);
    let made = server.post(V2, &v2).await.ok(201);
    for path in [V1, V2] {
        let table = server.get_as(path, TABLE).await.ok(200);
        let columns = table["columnDefinitions"].as_array().unwrap().iter().map(|column| &column["name"]);
        let names = ["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"];
        assert!(columns.eq(names.iter().copied()), "{table}");
        let cells = table["rows"][0]["cells"].as_array().unwrap();
        assert_eq!(
            cells[..6],
            [
                json!("web"),
                json!("Deployment/web"),
                json!("cpu: <unknown>/80%"),
                json!("1"),
                json!(1),
                json!(0)
            ]
        );
    }
    // Not an object of the other version.
    let answer = server.put(&format!("{V1}/web"), &made).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[tokio::test]
async fn discovery_prefers_the_new_version() {
    let server = Server::start().await;
    let group = server.get("/apis/autoscaling").await.ok(200);
    assert_eq!(group["preferredVersion"]["groupVersion"], "autoscaling/v2");
    let versions: Vec<&Value> = group["versions"].as_array().unwrap().iter().map(|v| &v["version"]).collect();
    assert_eq!(versions, [&json!("v2"), &json!("v1")]);
    for version in ["v1", "v2"] {
        let list = server.get(&format!("/apis/autoscaling/{version}")).await.ok(200);
        let resources = list["resources"].as_array().unwrap();
        assert_eq!(resources[0]["name"], "horizontalpodautoscalers", "{list}");
        assert_eq!(resources[0]["storageVersionHash"], "qwQve8ut294=");
        assert_eq!(resources[0]["shortNames"], json!(["hpa"]));
        assert_eq!(resources[1]["name"], "horizontalpodautoscalers/status");
    }
}

#[tokio::test]
async fn owners_are_the_same_in_either_version() {
    let server = Server::start().await;
    let apply = "application/apply-patch+yaml";
    let managers = |object: &Value| -> Vec<(String, String)> {
        let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        entries.iter().map(|entry| (text(&entry["manager"]), text(&entry["apiVersion"]))).collect()
    };
    let old = autoscaler(
        "v1",
        json!({"scaleTargetRef": target(), "maxReplicas": 4, "targetCPUUtilizationPercentage": 50}),
    );
    server.patch(&format!("{V1}/web?fieldManager=old"), apply, &old).await.ok(201);
    // What another wants to have otherwise is in conflict, whatever it is called there.
    let mut new = autoscaler("v2", json!({"maxReplicas": 5}));
    let conflict =
        server.patch(&format!("{V2}/web?fieldManager=new"), apply, &new).await.fails(409, "Conflict");
    assert_eq!(conflict["message"], "Apply failed with 1 conflict: conflict with \"old\": .spec.maxReplicas");
    new["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70}}}]);
    let path = format!("{V2}/web?fieldManager=new&force=true");
    let taken = server.patch(&path, apply, &new).await.ok(200);
    let both = [("new", "autoscaling/v2"), ("old", "autoscaling/v1")];
    let both = both.map(|(manager, version)| (manager.to_owned(), version.to_owned()));
    let mut found = managers(&taken);
    found.sort();
    assert_eq!(found, both);
    let entries = taken["metadata"]["managedFields"].as_array().unwrap();
    let kept = &entries.iter().find(|entry| entry["manager"] == "old").unwrap()["fieldsV1"]["f:spec"];
    assert_eq!(
        (kept.get("f:maxReplicas"), kept.get("f:targetCPUUtilizationPercentage")),
        (None, None),
        "{kept}"
    );
    // An update takes what it changes, too.
    let more = json!({"spec": {"scaleTargetRef": {"name": "db"}}});
    let changed = server.patch(&format!("{V2}/web?fieldManager=hand"), MERGE, &more).await.ok(200);
    let entries = changed["metadata"]["managedFields"].as_array().unwrap();
    let left =
        entries.iter().find(|entry| entry["manager"] == "old").map(|entry| entry["fieldsV1"].to_string());
    assert!(!left.unwrap_or_default().contains("scaleTargetRef"), "{entries:?}");
}
