//! Bodies that are wrong: media types, sizes, syntax, types, unknown and duplicate fields.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::http::{Answer, JSON, YAML};
use crate::server::{CONFIG_MAPS, DEPLOYMENTS, PODS, Server, config_map, deployment, pod};

async fn post(server: &Server, path: &str, r#type: &str, body: impl Into<Bytes>) -> Answer {
    server.call(Method::POST, path).body(r#type, body).send().await
}

#[tokio::test]
async fn media_types_that_are_understood() {
    let server = Server::start().await;
    let yaml = "metadata: {name: a}\ndata: {k: v}\n";
    for r#type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json5"]
    {
        let answer = post(&server, CONFIG_MAPS, r#type, config_map("a").to_string()).await;
        answer.fails_with(415, "UnsupportedMediaType", JSON);
    }
    for (name, r#type) in [("b", "application/json; charset=utf-8"), ("c", "Application/JSON")] {
        post(&server, CONFIG_MAPS, r#type, config_map(name).to_string()).await.ok(201);
    }
    let made = post(&server, CONFIG_MAPS, YAML, yaml).await.ok(201);
    assert_eq!(made["data"]["k"], "v");
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let server = Server::start().await;
    let large = Bytes::from(vec![b' '; (3 << 20) + 1]);
    let answer = post(&server, CONFIG_MAPS, JSON, large.clone()).await;
    answer.fails_with(413, "RequestEntityTooLarge", "3145728");
    // Also where it is not said beforehand.
    let pieces = large.chunks(64 << 10).map(Bytes::copy_from_slice).collect();
    let answer = server.call(Method::POST, CONFIG_MAPS).pieces(JSON, pieces).send().await;
    answer.fails(413, "RequestEntityTooLarge");
}

#[tokio::test]
async fn broken_texts_are_refused() {
    let server = Server::start().await;
    let text = config_map("a").to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases: Vec<(&str, String)> = vec![
        (JSON, String::new()),
        (JSON, text[..text.len() - 5].to_owned()),
        (JSON, format!("{text}{text}")),
        (JSON, "null".to_owned()),
        (JSON, "[]".to_owned()),
        (JSON, "5".to_owned()),
        (JSON, r#"{"metadata":{"name":"\ud800"}}"#.to_owned()),
        (JSON, deep.clone()),
        (YAML, "a: b: c".to_owned()),
        (YAML, "metadata: {name: a}\n---\nmetadata: {name: b}\n".to_owned()),
        (YAML, "metadata: *nothing\n".to_owned()),
        (YAML, deep),
    ];
    for (r#type, body) in cases {
        let answer = post(&server, CONFIG_MAPS, r#type, body.clone()).await;
        assert_eq!(answer.status, 400, "{:.60}: {answer:?}", body);
        answer.fails(400, "BadRequest");
    }
    // What is deep in a field that nobody reads is skipped, without a stack overflow.
    let nested = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let answer = post(&server, CONFIG_MAPS, JSON, nested).await;
    assert!(matches!(answer.status, 400 | 422), "{answer:?}");
    let answer = post(&server, CONFIG_MAPS, JSON, &b"{\"metadata\":{\"name\":\"a\xff\"}}"[..]).await;
    answer.fails(400, "BadRequest");
}

#[tokio::test]
async fn a_yaml_bomb_does_not_go_off() {
    let server = Server::start().await;
    let mut bomb = String::from("l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..10 {
        let items = vec![format!("*l{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("l{level}: &l{level} [{items}]\n"));
    }
    post(&server, CONFIG_MAPS, YAML, bomb).await.fails(400, "BadRequest");
}

#[tokio::test]
async fn wrong_types_name_their_fields() {
    let server = Server::start().await;
    let mut quantity = pod("a");
    quantity["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "lots"}});
    let mut port = pod("a");
    port["spec"]["containers"][0]["ports"] = json!([{"containerPort": "eighty"}]);
    let mut replicas = deployment("a", 1);
    replicas["spec"]["replicas"] = json!(1.5);
    let cases: Vec<(&str, Value, &str)> = vec![
        (PODS, quantity, "quantities must match the regular expression"),
        (
            PODS,
            port,
            "string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            PODS,
            json!({"metadata": {"name": "a"}, "spec": {"containers": {}}}),
            "object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            PODS,
            json!({"metadata": {"name": "a"}, "spec": []}),
            "array into Go struct field Pod.spec of type v1.PodSpec",
        ),
        (
            PODS,
            json!({"metadata": {"name": 5}}),
            "number into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (
            PODS,
            json!({"metadata": {"name": "a", "creationTimestamp": "noon"}}),
            r#"parsing time "noon" as "2006-01-02T15:04:05Z07:00": cannot parse "noon" as "2006""#,
        ),
        (
            CONFIG_MAPS,
            json!({"metadata": {"name": "a"}, "data": {"k": true}}),
            "ConfigMap.data of type string",
        ),
        (
            CONFIG_MAPS,
            json!({"metadata": {"name": "a"}, "binaryData": {"k": "&"}}),
            "illegal base64 data at input byte 0",
        ),
        (DEPLOYMENTS, replicas, "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (
            DEPLOYMENTS,
            json!({"metadata": {"name": "a"}, "spec": {"replicas": 5_000_000_000_i64}}),
            "number 5000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
    ];
    for (path, body, text) in cases {
        server.post(path, &body).await.fails_with(400, "BadRequest", text);
    }
}

#[tokio::test]
async fn quantities_have_their_rules() {
    let server = Server::start().await;
    for (resources, field) in [
        (json!({"limits": {"cpu": "-1"}}), "spec.containers[0].resources.limits[cpu]"),
        (json!({"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}), "spec.containers[0].resources.requests"),
    ] {
        let mut body = pod("a");
        body["spec"]["containers"][0]["resources"] = resources;
        server.post(PODS, &body).await.fails_with(422, "Invalid", field);
    }
}

#[tokio::test]
async fn unknown_and_duplicate_fields() {
    let server = Server::start().await;
    let body = |name: &str| {
        format!(
            r#"{{"metadata":{{"name":"{name}","lables":{{}}}},"data":{{"k":"v"}},"data":{{"k":"w"}},"more":1}}"#
        )
    };
    let problems =
        [r#"unknown field "metadata.lables""#, r#"duplicate field "data""#, r#"unknown field "more""#];
    let path = |validation: &str| format!("{CONFIG_MAPS}?fieldValidation={validation}");
    let strict = post(&server, &path("Strict"), JSON, body("a")).await;
    let status = strict.fails_with(400, "BadRequest", "strict decoding error");
    for problem in problems {
        assert!(status["message"].as_str().unwrap().contains(problem), "{problem}: {status}");
    }
    for (name, validation) in [("b", "Warn"), ("c", "")] {
        let warned = post(&server, &path(validation), JSON, body(name)).await;
        // Of what stands twice, the last counts.
        assert_eq!(warned.ok(201)["data"]["k"], "w");
        let mut warnings = warned.warnings();
        warnings.sort_unstable();
        let mut expected: Vec<String> = problems.iter().map(|problem| format!("299 - {problem:?}")).collect();
        expected.sort_unstable();
        assert_eq!(warnings, expected);
    }
    let ignored = post(&server, &path("Ignore"), JSON, body("d")).await;
    ignored.ok(201);
    assert!(ignored.warnings().is_empty());
    post(&server, &path("Loosely"), JSON, body("e")).await.fails_with(422, "Invalid", "fieldValidation");
    // YAML is no way around it.
    let yaml = "metadata: {name: f}\nmore: 1\n";
    post(&server, &path("Strict"), YAML, yaml).await.fails_with(400, "BadRequest", r#"unknown field "more""#);
}

#[tokio::test]
async fn yaml_is_read_as_clients_write_it() {
    let server = Server::start().await;
    let body = "
metadata: {name: a}
spec:
  containers: [{name: c, image: i}]
  volumes:
  - {name: m, configMap: {name: m, defaultMode: 0644}}
";
    let made = post(&server, PODS, YAML, body).await.ok(201);
    assert_eq!(made["spec"]["volumes"][0]["configMap"]["defaultMode"], 420);
}
