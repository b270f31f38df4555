//! Applying over gRPC: alone, and in a stream of writes.

use bytes::{BufMut as _, Bytes, BytesMut};
use gantry_api::core::v1::ConfigMap;
use gantry_api::grpc::api::mutate_request::Verb;
use gantry_api::grpc::api::mutate_response::Outcome;
use gantry_api::grpc::api::{ApplyRequest, MutateRequest, MutateResponse, Object, ResourceRef};
use gantry_api::meta::v1::ApplyOptions;
use http::Method;
use http::header::TE;
use prost::Message;
use serde_json::json;

use crate::apply::managers;
use crate::http::JSON;
use crate::server::{CONFIG_MAPS, Server};

/// Messages as they stand in a body.
fn framed(messages: &[impl Message]) -> Bytes {
    let mut body = BytesMut::new();
    for message in messages {
        let message = message.encode_to_vec();
        body.put_u8(0);
        body.put_u32(u32::try_from(message.len()).unwrap());
        body.put_slice(&message);
    }
    body.freeze()
}

/// The messages of an answer, or the status' code where there is none.
async fn answers<T: Message + Default>(
    server: &Server,
    method: &str,
    requests: &[impl Message],
) -> Result<Vec<T>, String> {
    let path = format!("/gantry.api.v1.Resources/{method}");
    let call = server.call(Method::POST, &path).header(TE, "trailers");
    let answer = call.body("application/grpc", framed(requests)).send().await;
    if let Some(code) = answer.headers.get("grpc-status") {
        return Err(code.to_str().unwrap().to_owned());
    }
    let (mut rest, mut messages) = (&answer.body[..], Vec::new());
    while let Some((head, body)) = rest.split_first_chunk::<5>() {
        let len = u32::from_be_bytes(*head.last_chunk().unwrap()) as usize;
        messages.push(T::decode(&body[..len]).unwrap());
        rest = &body[len..];
    }
    Ok(messages)
}

fn config_map(object: Object) -> ConfigMap {
    ConfigMap::decode(object.object.unwrap().value.as_slice()).unwrap()
}

async fn call(server: &Server, request: &ApplyRequest) -> Result<ConfigMap, String> {
    let mut objects = answers::<Object>(server, "Apply", std::slice::from_ref(request)).await?;
    Ok(config_map(objects.remove(0)))
}

fn request(name: &str, manager: &str, value: &str) -> ApplyRequest {
    ApplyRequest {
        r#ref: Some(ResourceRef {
            version: "v1".into(),
            resource: "configmaps".into(),
            namespace: "default".into(),
            name: name.into(),
            ..ResourceRef::default()
        }),
        configuration: json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value},
        })
        .to_string()
        .into(),
        options: Some(ApplyOptions { field_manager: manager.into(), ..ApplyOptions::default() }),
    }
}

#[tokio::test]
async fn apply_by_grpc() {
    let server = Server::start().await;
    let made = call(&server, &request("a", "one", "1")).await.unwrap();
    assert_eq!(made.metadata.unwrap().managed_fields[0].manager, "one");
    // Aborted: a conflict.
    assert_eq!(call(&server, &request("a", "two", "2")).await.unwrap_err(), "10");
    // Invalid argument: nobody applies.
    assert_eq!(call(&server, &request("a", "", "1")).await.unwrap_err(), "3");
    let mut forced = request("a", "two", "2");
    forced.options.as_mut().unwrap().force = Some(true);
    assert_eq!(call(&server, &forced).await.unwrap().data["k"], "2");
    let seen = server.get_as(&format!("{CONFIG_MAPS}/a"), JSON).await.ok(200);
    assert_eq!(managers(&seen), ["two Apply"]);
}

#[tokio::test]
async fn a_stream_of_writes_applies_too() {
    let server = Server::start().await;
    let write = |id, apply| MutateRequest { id, verb: Some(Verb::Apply(apply)) };
    let writes = [write(1, request("a", "one", "1")), write(2, request("b", "", "1"))];
    let mut outcomes = answers::<MutateResponse>(&server, "Mutate", &writes).await.unwrap();
    outcomes.sort_by_key(|outcome| outcome.id);
    let [first, second] = <[_; 2]>::try_from(outcomes).unwrap();
    let (Some(Outcome::Object(made)), Some(Outcome::Error(refused))) = (first.outcome, second.outcome) else {
        panic!("one is made, and one refused");
    };
    assert_eq!(config_map(made).data["k"], "1");
    assert_eq!(refused.code, 422, "{refused:?}");
    let seen = server.get_as(&format!("{CONFIG_MAPS}/a"), JSON).await.ok(200);
    assert_eq!(managers(&seen), ["one Apply"]);
}
