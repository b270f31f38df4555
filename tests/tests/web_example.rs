//! The main road: a cluster comes up, the example runs, answers, heals and is updated, and nothing is left.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gantry_tests::{Load, TestCluster, eventually};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

async fn web_pods(test: &TestCluster) -> Vec<Value> {
    test.items("/api/v1/namespaces/default/pods?labelSelector=app%3Dweb").await
}

async fn web_is_ready(test: &TestCluster) {
    eventually(LIMIT, "three ready pods", || async {
        let pods = web_pods(test).await;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        if ready == 3 && pods.len() == 3 { Ok(()) } else { Err(format!("{ready} of {}", pods.len())) }
    })
    .await;
}

async fn service_address(test: &TestCluster) -> SocketAddr {
    let service = test.api().get_json("/api/v1/namespaces/default/services/web").await.unwrap();
    let address = service["spec"]["clusterIP"].as_str().unwrap().parse().unwrap();
    SocketAddr::new(address, 80)
}

fn load(test: &TestCluster, target: SocketAddr) -> Load {
    let node = test.cluster().spec().nodes().next().unwrap();
    Load::start(Path::new("/run/netns").join(node.netns()), target, 50)
}

/// Waits until the Service answers at all: its rules follow its endpoints by a moment.
async fn service_answers(test: &TestCluster, target: SocketAddr) {
    eventually(LIMIT, "the Service", || async {
        let load = load(test, target);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let outcome = tokio::task::spawn_blocking(|| load.finish()).await.unwrap();
        if outcome.failures.is_empty() { Ok(()) } else { Err(format!("{:?}", outcome.failures)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs_heals_and_is_updated_and_nothing_is_left() {
    let mut test = TestCluster::start(1).await;
    test.apply_example("web.yaml").await;
    web_is_ready(&test).await;
    let target = service_address(&test).await;
    service_answers(&test, target).await;

    // Balanced: 300 requests reach all three, none far from its share.
    let running = load(&test, target);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let outcome = tokio::task::spawn_blocking(|| running.finish()).await.unwrap();
    assert_eq!(outcome.failures, []);
    let shares = outcome.by("pod");
    assert_eq!(shares.len(), 3, "{shares:?}");
    println!("{} requests: {:?}", outcome.requests, shares.values().collect::<Vec<_>>());
    let fair = outcome.requests / 3;
    assert!(shares.values().all(|count| (fair * 6 / 10..=fair * 14 / 10).contains(count)), "{shares:?}");

    // A pod that is deleted is replaced.
    let pods = web_pods(&test).await;
    let name = pods[0]["metadata"]["name"].as_str().unwrap().to_owned();
    test.kctl(&["delete", "pod", &name]).await.success();
    web_is_ready(&test).await;
    assert!(web_pods(&test).await.iter().all(|pod| pod["metadata"]["name"] != *name));

    // A rolling update under load loses no request.
    let running = load(&test, target);
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/web.yaml"));
    test.apply(&manifest.unwrap().replace("web:v1", "web:v2")).await;
    test.kctl(&["rollout", "status", "deployment/web", "--timeout=60"]).await.success();
    web_is_ready(&test).await;
    let outcome = tokio::task::spawn_blocking(|| running.finish()).await.unwrap();
    println!("rolling update: {} of {} requests failed", outcome.failures.len(), outcome.requests);
    assert_eq!(outcome.failures, []);
    assert!(outcome.by("version").contains_key("v1"), "{:?}", outcome.by("version"));
    service_answers(&test, target).await;

    // Down leaves nothing (it verifies that itself), and the next up finds the Deployment.
    test.down(false).await;
    test.up().await;
    web_is_ready(&test).await;
    test.down(true).await;
}
