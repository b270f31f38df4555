//! Bodies and answers in protobuf.

use bytes::Bytes;
use gantry_api::core::v1::{ConfigMap, ConfigMapList};
use gantry_api::meta::v1::{DeleteOptions, ObjectMeta, Preconditions, Status};
use gantry_store::envelope;
use http::Method;
use http::header::ACCEPT;
use prost::Message as _;

use crate::http::{Answer, PROTOBUF};
use crate::server::{CONFIG_MAPS, Server, config_map};

fn map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: name.into(), ..ObjectMeta::default() };
    ConfigMap { metadata: Some(metadata), ..ConfigMap::default() }
}

async fn post(server: &Server, body: impl Into<Bytes>) -> Answer {
    server.call(Method::POST, CONFIG_MAPS).header(ACCEPT, PROTOBUF).body(PROTOBUF, body).send().await
}

#[tokio::test]
async fn an_object_goes_both_ways() {
    let server = Server::start().await;
    let answer = post(&server, envelope::encode("v1", "ConfigMap", &map("a"))).await;
    assert_eq!((answer.status, answer.content_type().as_str()), (201, PROTOBUF));
    let made = envelope::decode(&answer.body).unwrap();
    assert_eq!((made.api_version.as_str(), made.kind.as_str()), ("v1", "ConfigMap"));
    let made = ConfigMap::decode(made.raw).unwrap();
    assert!(!made.metadata.as_ref().unwrap().uid.is_empty());

    let list = server.get_as(CONFIG_MAPS, PROTOBUF).await;
    let list = envelope::decode(&list.body).unwrap();
    assert_eq!(list.kind, "ConfigMapList");
    assert_eq!(ConfigMapList::decode(list.raw).unwrap().items, std::slice::from_ref(&made));

    // With options of its own form.
    let uid = Some(made.metadata.unwrap().uid);
    let preconditions = Some(Preconditions { uid, ..Preconditions::default() });
    let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
    let call = server.call(Method::DELETE, &format!("{CONFIG_MAPS}/a")).header(ACCEPT, PROTOBUF);
    let answer = call.body(PROTOBUF, envelope::encode("v1", "DeleteOptions", &options)).send().await;
    let status = Status::decode(envelope::decode(&answer.body).unwrap().raw).unwrap();
    assert_eq!((answer.status, status.status.as_str()), (200, "Success"));
}

#[tokio::test]
async fn what_is_no_protobuf_is_refused() {
    let server = Server::start().await;
    let whole = envelope::encode("v1", "ConfigMap", &map("a"));
    let bare = map("a").encode_to_vec();
    let cut = whole.slice(..whole.len() - 3);
    let json = config_map("a").to_string();
    // An envelope around bytes that are no message.
    let inside = envelope::wrap("v1", "ConfigMap", &[0x0a, 0xff, 0xff, 0xff]);
    for body in [Bytes::new(), cut, bare.into(), json.into(), inside, Bytes::from_static(b"k8s\0")] {
        let answer = post(&server, body.clone()).await;
        assert_eq!(answer.status, 400, "{body:?}: {answer:?}");
    }
    let other = envelope::encode("v1", "Secret", &map("a"));
    assert_eq!(post(&server, other).await.status, 400);
    assert_eq!(server.get(&format!("{CONFIG_MAPS}/a")).await.status, 404);
}

#[tokio::test]
async fn a_failure_is_protobuf_for_who_asked_for_it() {
    let server = Server::start().await;
    let answer = server.get_as(&format!("{CONFIG_MAPS}/a"), PROTOBUF).await;
    assert_eq!((answer.status, answer.content_type().as_str()), (404, PROTOBUF));
    let found = envelope::decode(&answer.body).unwrap();
    assert_eq!((found.api_version.as_str(), found.kind.as_str()), ("v1", "Status"));
    let status = Status::decode(found.raw).unwrap();
    assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
    assert_eq!(status.details.unwrap().name, "a");
}
