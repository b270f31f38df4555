//! What is wrong is refused, by name, and nothing of it is stored.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::time::Duration;

use bytes::Bytes;
use gantry_tests::{TestCluster, eventually};
use hyper::{Method, StatusCode};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn post(
    test: &TestCluster,
    path: &str,
    media_type: &str,
    body: impl Into<Bytes>,
) -> (StatusCode, String) {
    let (status, body) = test.api().request(Method::POST, path, media_type, body.into()).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// A Deployment with `spec` lines inserted; whole and right when there are none.
fn deployment(name: &str, replicas: &str, label: &str, container: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: {replicas}\n  \
         selector:\n    matchLabels:\n      app: nginx\n  template:\n    metadata:\n      labels:\n        \
         app: {label}\n    spec:\n      containers:\n      - name: nginx\n        image: nginx:1.25\n{container}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_refused_by_name() {
    let test = TestCluster::start(1).await;

    // As printed in many introductions: neither a name nor the template's labels.
    let printed = "apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 3\n  selector:\n    matchLabels:\n      \
                   app: nginx\n  template:\n    spec:\n      containers:\n      - name: nginx\n        image: nginx:1.25\n";
    let (status, text) = post(&test, DEPLOYMENTS, "application/yaml", printed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{text}");
    assert!(text.contains("metadata.name") && text.contains("spec.template.metadata.labels"), "{text}");

    let refused = [
        (deployment("minus", "-1", "nginx", ""), "spec.replicas"),
        (deployment("other", "1", "else", ""), "spec.template.metadata.labels"),
        (deployment("Upper_Case", "1", "nginx", ""), "metadata.name"),
        (
            deployment("quantity", "1", "nginx", "        resources:\n          limits: {cpu: lots}\n"),
            "limits",
        ),
        (
            deployment(
                "ports",
                "1",
                "nginx",
                "        ports:\n        - {name: a, containerPort: 80}\n        - {name: a, containerPort: 81}\n",
            ),
            "ports[1].name",
        ),
        (deployment("types", "many", "nginx", ""), "replicas"),
    ];
    for (manifest, field) in refused {
        let (status, text) = post(&test, DEPLOYMENTS, "application/yaml", manifest.clone()).await;
        assert!(status.is_client_error(), "{manifest}\n{status} {text}");
        assert!(text.contains(field), "{field} is not named:\n{manifest}\n{text}");
    }

    let strict = format!("{DEPLOYMENTS}?fieldValidation=Strict");
    let unknown = deployment("unknown", "1", "nginx", "        imagine: all\n");
    let (status, text) = post(&test, &strict, "application/yaml", unknown).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("imagine"), "{text}");

    let good = deployment("good", "0", "nginx", "");
    let (status, text) = post(&test, &strict, "application/yaml", good).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let names: Vec<_> = test.items(DEPLOYMENTS).await.iter().map(|d| d["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["good"]);
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_refused_and_the_server_lives() {
    let test = TestCluster::start(1).await;
    let map = |size: usize| {
        let value = "x".repeat(size);
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"big\"}},\"data\":{{\"k\":\"{value}\"}}}}"
        )
    };
    let whole = map(10);
    let json = "application/json";
    let (status, text) = post(&test, CONFIG_MAPS, json, map(3 << 20)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{text}");
    let (status, text) = post(&test, CONFIG_MAPS, json, whole[..whole.len() - 5].to_owned()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    let protobuf = "application/vnd.kubernetes.protobuf";
    let (status, text) = post(&test, CONFIG_MAPS, protobuf, &b"k8s\0\x0a\xff\xff\xff\xff\x0f"[..]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let reference = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", reference.trim_end_matches(", ")));
    }
    let (status, text) = post(&test, CONFIG_MAPS, "application/yaml", bomb).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    let (status, text) = post(&test, CONFIG_MAPS, "text/html", whole.clone()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{text}");

    let (status, text) = post(&test, CONFIG_MAPS, json, whole).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_exist_is_said() {
    let test = TestCluster::start(1).await;
    test.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: nothing, namespace: default}\nspec:\n  containers:\n  \
         - {name: c, image: '10.243.0.1:5000/nothing:1'}\n",
    )
    .await;
    for wanted in ["ErrImagePull", "ImagePullBackOff"] {
        eventually(Duration::from_secs(60), wanted, || async {
            let pod = test.api().get_json("/api/v1/namespaces/default/pods/nothing").await;
            let pod = pod.map_err(|error| error.to_string())?;
            let reason = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
            if reason == wanted { Ok(()) } else { Err(reason.to_string()) }
        })
        .await;
    }
    eventually(Duration::from_secs(30), "the registry's answer in an event", || async {
        let events = test.items("/api/v1/namespaces/default/events").await;
        let told = events.iter().filter_map(|event| event["message"].as_str());
        let told: Vec<&str> = told.filter(|text| text.contains("nothing:1")).collect();
        if told.iter().any(|text| text.contains("404") || text.to_lowercase().contains("not found")) {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    })
    .await;
    test.down_purged().await;
}
