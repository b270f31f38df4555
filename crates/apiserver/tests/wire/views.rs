//! Tables and metadata, in JSON and protobuf, and what is not served at all.

use gantry_api::meta::v1::{PartialObjectMetadata, PartialObjectMetadataList, WatchEvent};
use gantry_store::envelope;
use http::Method;
use http::header::ACCEPT;
use prost::Message as _;
use serde_json::{Value, json};

use crate::http::{JSON, PROTOBUF, YAML};
use crate::server::{CONFIG_MAPS, PODS, Server, config_map, pod};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

fn in_protobuf(accept: &str) -> String {
    accept.replace(JSON, PROTOBUF)
}

#[tokio::test]
async fn tables_have_columns_and_rows() {
    let server = Server::start().await;
    server.post(PODS, &pod("a")).await.ok(201);
    for path in [PODS.to_owned(), format!("{PODS}/a")] {
        let table = server.get_as(&path, TABLE).await.ok(200);
        assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
        let columns = table["columnDefinitions"].as_array().unwrap();
        assert_eq!((&columns[0]["name"], &columns[0]["format"]), (&json!("Name"), &json!("name")));
        let row = &table["rows"][0];
        assert_eq!((&row["cells"][0], row["cells"].as_array().unwrap().len()), (&json!("a"), columns.len()));
        assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(row["object"]["metadata"]["name"], "a");
    }
    for (include, kind) in [("None", json!(null)), ("Object", json!("Pod"))] {
        let table = server.get_as(&format!("{PODS}?includeObject={include}"), TABLE).await.ok(200);
        assert_eq!(table["rows"][0]["object"]["kind"], kind);
    }
    server.get_as(&format!("{PODS}?includeObject=Some"), TABLE).await.fails_with(
        400,
        "BadRequest",
        "includeObject",
    );
    let mut watch = server.watch(&format!("{PODS}?watch=true"), TABLE).await;
    let event = watch.event().await.unwrap();
    assert_eq!(
        (&event["object"]["kind"], &event["object"]["rows"][0]["cells"][0]),
        (&json!("Table"), &json!("a"))
    );
}

#[tokio::test]
async fn metadata_in_json() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let one = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": made["metadata"],
    });
    assert_eq!(server.get_as(&format!("{CONFIG_MAPS}/a"), METADATA).await.ok(200), one);
    let list = server.get_as(CONFIG_MAPS, METADATA_LIST).await.ok(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"], json!([one]));
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=true"), METADATA).await;
    assert_eq!(watch.event().await.unwrap()["object"], one);
}

#[tokio::test]
async fn metadata_in_protobuf() {
    let server = Server::start().await;
    for name in ["a", "b"] {
        server.post(CONFIG_MAPS, &config_map(name)).await.ok(201);
    }
    let answer = server.get_as(&format!("{CONFIG_MAPS}/a"), &in_protobuf(METADATA)).await;
    assert_eq!((answer.status, answer.content_type().as_str()), (200, PROTOBUF));
    let one = envelope::decode(&answer.body).unwrap();
    assert_eq!((one.api_version.as_str(), one.kind.as_str()), ("meta.k8s.io/v1", "PartialObjectMetadata"));
    let one = PartialObjectMetadata::decode(one.raw).unwrap();
    assert_eq!(one.metadata.as_ref().unwrap().name, "a");

    let answer = server.get_as(&format!("{CONFIG_MAPS}?limit=1"), &in_protobuf(METADATA_LIST)).await;
    assert_eq!((answer.status, answer.content_type().as_str()), (200, PROTOBUF));
    let list = envelope::decode(&answer.body).unwrap();
    assert_eq!(
        (list.api_version.as_str(), list.kind.as_str()),
        ("meta.k8s.io/v1", "PartialObjectMetadataList")
    );
    let list = PartialObjectMetadataList::decode(list.raw).unwrap();
    let metadata = list.metadata.unwrap();
    assert!(!metadata.resource_version.is_empty() && !metadata.r#continue.is_empty());
    assert_eq!(list.items, std::slice::from_ref(&one));

    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=true"), &in_protobuf(METADATA)).await;
    let event = WatchEvent::decode(watch.frame().await.unwrap()).unwrap();
    let object = envelope::decode(&event.object.unwrap().raw).unwrap();
    assert_eq!(PartialObjectMetadata::decode(object.raw).unwrap(), one);
}

#[tokio::test]
async fn yaml_is_served_save_to_watchers() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let answer = server.get_as(&format!("{CONFIG_MAPS}/a"), YAML).await;
    assert_eq!((answer.status, answer.content_type().as_str()), (200, YAML));
    assert!(answer.text().starts_with("kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: a\n"));
    server.get_as(&format!("{CONFIG_MAPS}?watch=true"), YAML).await.fails(406, "NotAcceptable");
}

#[tokio::test]
async fn what_nobody_serves_is_not_acceptable() {
    let server = Server::start().await;
    for accept in [
        "text/html",
        "application/xml",
        "application/json;q=0",
        "application/json;as=Chair;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v9;g=meta.k8s.io",
    ] {
        let status = server.get_as(CONFIG_MAPS, accept).await.fails(406, "NotAcceptable");
        assert!(status["message"].as_str().unwrap().contains(JSON), "{status}");
    }
    // The first that is served counts, and nothing said is JSON.
    let several = format!("text/html,{TABLE},{JSON}");
    assert_eq!(server.get_as(CONFIG_MAPS, &several).await.ok(200)["kind"], "Table");
    assert_eq!(server.get_as(CONFIG_MAPS, "*/*").await.ok(200)["kind"], "ConfigMapList");
    // Nothing is written for a client that cannot read the answer.
    let answer = server.call(Method::POST, CONFIG_MAPS).json(&config_map("a")).header(ACCEPT, "text/html");
    answer.send().await.fails(406, "NotAcceptable");
    server.get(&format!("{CONFIG_MAPS}/a")).await.fails(404, "NotFound");
}

#[tokio::test]
async fn a_table_of_a_write_is_a_table() {
    let server = Server::start().await;
    let call = server.call(Method::POST, CONFIG_MAPS).json(&config_map("a")).header(ACCEPT, TABLE);
    let table: Value = call.send().await.ok(201);
    assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("a")));
}
