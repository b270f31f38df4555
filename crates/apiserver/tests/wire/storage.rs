//! Classes of storage, drivers and attachments: what each kind makes of a request.

use serde_json::{Value, json};

use crate::http::MERGE;
use crate::server::Server;

const GROUP: &str = "/apis/storage.k8s.io/v1";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn object(kind: &str, name: &str, more: Value) -> Value {
    let mut object = json!({"apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": {"name": name}});
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

async fn cells(server: &Server, path: &str) -> Vec<Value> {
    let table = server.get_as(path, TABLE).await.ok(200);
    table["rows"][0]["cells"].as_array().unwrap().clone()
}

#[tokio::test]
async fn classes_stay_what_they_are() {
    let server = Server::start().await;
    let path = format!("{GROUP}/storageclasses");
    let made = server
        .post(&path, &object("StorageClass", "fast", json!({"provisioner": "example.com/a"})))
        .await
        .ok(201);
    assert_eq!((&made["reclaimPolicy"], &made["volumeBindingMode"]), (&json!("Delete"), &json!("Immediate")));
    assert_eq!(made["metadata"].get("generation"), None);
    let one = format!("{path}/fast");
    assert_eq!(
        cells(&server, &one).await[..5],
        [json!("fast"), json!("example.com/a"), json!("Delete"), json!("Immediate"), json!(false)]
    );
    server.patch(&one, MERGE, &json!({"allowVolumeExpansion": true})).await.ok(200);
    server
        .patch(&one, MERGE, &json!({"provisioner": "b", "parameters": {"a": "b"}}))
        .await
        .invalid(&[("parameters", "FieldValueForbidden"), ("provisioner", "FieldValueForbidden")]);

    let path = format!("{GROUP}/volumeattributesclasses");
    let class = object("VolumeAttributesClass", "gold", json!({"driverName": "example.com"}));
    server.post(&path, &class).await.invalid(&[("parameters", "FieldValueRequired")]);
    let class = object(
        "VolumeAttributesClass",
        "gold",
        json!({"driverName": "example.com", "parameters": {"iops": "1"}}),
    );
    server.post(&path, &class).await.ok(201);
    let faster = json!({"parameters": {"iops": "2"}});
    let answer = server.patch(&format!("{path}/gold"), MERGE, &faster).await;
    answer.invalid(&[("parameters", "FieldValueForbidden")]);
}

#[tokio::test]
async fn a_driver_counts_what_is_asked_for() {
    let server = Server::start().await;
    let path = format!("{GROUP}/csidrivers");
    let made = server.post(&path, &object("CSIDriver", "example.com", json!({"spec": {}}))).await.ok(201);
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["spec"]["volumeLifecycleModes"], json!(["Persistent"]));
    let one = format!("{path}/example.com");
    let after = server.patch(&one, MERGE, &json!({"spec": {"podInfoOnMount": true}})).await.ok(200);
    assert_eq!(after["metadata"]["generation"], 2);
    let shown = json!(["example.com", true, true, false, "<unset>", false, "Persistent"]);
    assert_eq!(json!(cells(&server, &one).await[..7]), shown);
    let mut unseen = after.clone();
    unseen["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    server.put(&one, &unseen).await.invalid(&[("metadata.resourceVersion", "FieldValueInvalid")]);
    server
        .patch(&one, MERGE, &json!({"spec": {"attachRequired": false}}))
        .await
        .invalid(&[("spec.attachedRequired", "FieldValueInvalid")]);

    let path = format!("{GROUP}/csinodes");
    let node = object("CSINode", "n", json!({"spec": {"drivers": [{"name": "example.com", "nodeID": "n"}]}}));
    server.post(&path, &node).await.ok(201);
    assert_eq!(cells(&server, &format!("{path}/n")).await[1], 1);
    let other = json!({"spec": {"drivers": [{"name": "example.com", "nodeID": "m"}]}});
    let answer = server.patch(&format!("{path}/n"), MERGE, &other).await;
    answer.invalid(&[("spec.drivers", "FieldValueInvalid")]);
}

#[tokio::test]
async fn an_attachment_is_done_by_its_status() {
    let server = Server::start().await;
    let path = format!("{GROUP}/volumeattachments");
    let spec = json!({"attacher": "example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}});
    let wanted = object("VolumeAttachment", "a", json!({"spec": spec, "status": {"attached": true}}));
    let made = server.post(&path, &wanted).await.ok(201);
    assert_eq!((&made["status"], made["metadata"].get("generation")), (&json!({"attached": false}), None));
    let one = format!("{path}/a");
    server.patch(&format!("{one}/status"), MERGE, &json!({"status": {"attached": true}})).await.ok(200);
    assert_eq!(cells(&server, &one).await[1..5], [json!("example.com"), json!("v"), json!("n"), json!(true)]);
    let answer = server.patch(&one, MERGE, &json!({"spec": {"nodeName": "m"}})).await;
    answer.invalid(&[("spec", "FieldValueInvalid")]);
    let failed = json!({"status": {"attachError": {"errorCode": -1}}});
    let answer = server.patch(&format!("{one}/status"), MERGE, &failed).await;
    answer.invalid(&[("status.attachError.errorCode", "FieldValueInvalid")]);
}

#[tokio::test]
async fn a_capacity_changes_where_it_is() {
    let server = Server::start().await;
    let path = format!("{GROUP}/namespaces/default/csistoragecapacities");
    let capacity = object("CSIStorageCapacity", "c", json!({"storageClassName": "fast", "capacity": "1Gi"}));
    server.post(&path, &capacity).await.ok(201);
    let one = format!("{path}/c");
    server.patch(&one, MERGE, &json!({"capacity": "2Gi"})).await.ok(200);
    assert_eq!(cells(&server, &one).await, ["c", "fast", "2Gi"]);
    let answer = server.patch(&one, MERGE, &json!({"storageClassName": "slow"})).await;
    answer.invalid(&[("storageClassName", "FieldValueInvalid")]);
}
