//! Watches: frames, bookmarks, resumption, and their ends.

use std::sync::Arc;

use bytes::Bytes;
use gantry_api::core::v1::ConfigMap;
use gantry_api::meta::v1::{Status, WatchEvent};
use gantry_store::{MemoryStore, Store as _, envelope};
use prost::Message as _;
use serde_json::{Value, json};

use crate::http::{JSON, MERGE, PROTOBUF};
use crate::server::{CONFIG_MAPS, Server, config_map};

fn revision(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

#[tokio::test]
async fn a_watch_in_json_is_a_line_for_each_event() {
    let server = Server::start().await;
    server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=true"), JSON).await;
    assert_eq!(watch.content_type, JSON);
    let event = watch.event().await.unwrap();
    assert_eq!(event["type"], "ADDED");
    assert_eq!(
        (&event["object"]["kind"], &event["object"]["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
    let changed =
        server.patch(&format!("{CONFIG_MAPS}/a"), MERGE, &json!({"data": {"k": "w"}})).await.ok(200);
    assert_eq!(watch.event().await.unwrap(), json!({"type": "MODIFIED", "object": changed}));
    server.delete(&format!("{CONFIG_MAPS}/a")).await.ok(200);
    let gone = watch.event().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["data"]), (&json!("DELETED"), &json!({"k": "w"})));
    // The last state, at the revision of the deletion.
    let (last, end) = (revision(&changed).parse::<i64>(), revision(&gone["object"]).parse::<i64>());
    assert!(end.unwrap() > last.unwrap());
}

#[tokio::test]
async fn a_watch_goes_on_where_another_ended() {
    let server = Server::start().await;
    let first = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let second = server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
    server.delete(&format!("{CONFIG_MAPS}/a")).await.ok(200);
    let after = |revision: &str| format!("{CONFIG_MAPS}?watch=1&resourceVersion={revision}");
    let mut watch = server.watch(&after(revision(&first)), JSON).await;
    assert_eq!(watch.named().await, ("ADDED".into(), "b".into()));
    assert_eq!(watch.named().await, ("DELETED".into(), "a".into()));
    let mut rest = server.watch(&after(revision(&second)), JSON).await;
    assert_eq!(rest.named().await, ("DELETED".into(), "a".into()));
}

#[tokio::test]
async fn a_watch_has_selectors_and_the_old_path() {
    let server = Server::start().await;
    for path in [
        format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Db"),
        format!("{CONFIG_MAPS}/b?watch=true"),
        "/api/v1/watch/namespaces/default/configmaps/b".to_owned(),
    ] {
        let mut watch = server.watch(&path, JSON).await;
        server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
        server.post(CONFIG_MAPS, &config_map("b")).await.ok(201);
        assert_eq!(watch.named().await, ("ADDED".into(), "b".into()), "{path}");
        server.delete(CONFIG_MAPS).await.ok(200);
        assert_eq!(watch.named().await, ("DELETED".into(), "b".into()), "{path}");
    }
}

#[tokio::test]
async fn the_initial_events_end_with_a_bookmark() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?{query}"), JSON).await;
    assert_eq!(watch.named().await, ("ADDED".into(), "a".into()));
    let end = watch.event().await.unwrap();
    assert_eq!((&end["type"], &end["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert!(revision(&end["object"]).parse::<i64>().unwrap() >= revision(&made).parse().unwrap());
    let refused = server.get(&format!("{CONFIG_MAPS}?watch=true&sendInitialEvents=true")).await;
    assert!(matches!(refused.status, 400 | 422), "{refused:?}");
    assert!(refused.text().contains("resourceVersionMatch"), "{refused:?}");
}

#[tokio::test]
async fn a_watch_ends_after_its_time() {
    let server = Server::start().await;
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1"), JSON).await;
    assert_eq!(watch.event().await, None);
}

/// A server that knows nothing of the first revisions, as they were before it.
async fn late() -> Server {
    let store = Arc::new(MemoryStore::new());
    for i in 0..5 {
        store.create(&format!("/other/{i}"), Bytes::new(), None).await.unwrap();
    }
    Server::start_over(store, &[]).await
}

#[tokio::test]
async fn a_forgotten_revision_is_gone() {
    let server = late().await;
    let answer = server.get(&format!("{CONFIG_MAPS}?watch=true&resourceVersion=1&timeoutSeconds=5")).await;
    let event: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &event["type"]), (200, &json!("ERROR")));
    let status = &event["object"];
    assert_eq!(
        (&status["kind"], &status["code"], &status["reason"]),
        (&json!("Status"), &json!(410), &json!("Expired"))
    );
    assert!(status["message"].as_str().unwrap().contains("too old resource version"), "{status}");
}

#[tokio::test]
async fn a_watch_in_protobuf_is_framed() {
    let server = Server::start().await;
    let made = server.post(CONFIG_MAPS, &config_map("a")).await.ok(201);
    let accept = format!("{PROTOBUF};stream=watch");
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=true"), &accept).await;
    assert_eq!(watch.content_type, accept);
    let (r#type, object) = unframe(watch.frame().await.unwrap());
    assert_eq!(r#type, "ADDED");
    let envelope = envelope::decode(&object).unwrap();
    assert_eq!((envelope.api_version.as_str(), envelope.kind.as_str()), ("v1", "ConfigMap"));
    let map = ConfigMap::decode(envelope.raw).unwrap();
    assert_eq!(map.metadata.unwrap().resource_version, revision(&made));

    let late = late().await;
    let mut forgotten = late.watch(&format!("{CONFIG_MAPS}?watch=true&resourceVersion=1"), PROTOBUF).await;
    let (r#type, object) = unframe(forgotten.frame().await.unwrap());
    assert_eq!(r#type, "ERROR");
    let status = Status::decode(envelope::decode(&object).unwrap().raw).unwrap();
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    assert_eq!(forgotten.frame().await, None);
}

fn unframe(frame: Bytes) -> (String, Bytes) {
    let event = WatchEvent::decode(frame).unwrap();
    (event.r#type, event.object.unwrap().raw)
}
