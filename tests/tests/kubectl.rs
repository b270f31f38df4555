//! kubectl, where this machine has one: what most people type.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::path::{Path, PathBuf};

use gantry_tests::{Output, TestCluster};

/// The kubectl of `GANTRY_KUBECTL`, else that of `PATH`.
fn kubectl() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("GANTRY_KUBECTL") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("kubectl")).find(|file| file.is_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_as_on_kubernetes() {
    let Some(kubectl) = kubectl() else {
        println!("skipped: no kubectl in PATH, and GANTRY_KUBECTL is not set");
        return;
    };
    let test = TestCluster::start(1).await;
    let run = async |args: &[&str]| -> Output { test.run(&kubectl, args, "").await };
    let said = async |args: &[&str]| -> String { run(args).await.success() };

    let version = said(&["version"]).await;
    println!("{version}");
    assert!(version.contains("Server Version: v1."), "{version}");
    assert!(said(&["get", "nodes", "-o", "wide"]).await.contains("node-1"));

    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/web.yaml");
    let example = std::fs::read_to_string(example).unwrap().replace("10.243.0.1:5000/", &test.image(""));
    let applied = test.run(&kubectl, &["apply", "-f", "-"], &example).await.success();
    assert!(applied.contains("deployment.apps/web created"), "{applied}");
    let again = test.run(&kubectl, &["apply", "-f", "-"], &example).await.success();
    assert!(again.contains("deployment.apps/web unchanged"), "{again}");
    said(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    said(&["scale", "deployment/web", "--replicas=2"]).await;
    said(&["wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=60s"]).await;

    let table = said(&["get", "deployment", "web"]).await;
    assert!(table.starts_with("NAME") && table.contains("AVAILABLE"), "{table}");
    let described = said(&["describe", "deployment", "web"]).await;
    assert!(described.contains("ScalingReplicaSet"), "{described}");
    assert!(said(&["describe", "service", "web"]).await.contains("Endpoints:"));
    assert!(said(&["explain", "pod.spec.containers"]).await.contains("containers"));
    let logs = said(&["logs", "deployment/web"]).await;
    assert!(logs.contains("listening on port"), "{logs}");

    said(&["set", "image", "deployment/web", &format!("web={}", test.image("web:v2"))]).await;
    said(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    said(&["rollout", "undo", "deployment/web"]).await;
    said(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    said(&["label", "deployment", "web", "x=y"]).await;
    assert!(said(&["get", "deployments", "-l", "x=y", "-o", "name"]).await.contains("deployment.apps/web"));

    let missing = run(&["get", "pod", "nothing"]).await.failure();
    assert!(missing.contains("Error from server (NotFound)"), "{missing}");
    said(&["delete", "deployment,service", "web", "--timeout=60s"]).await;
    test.down_purged().await;
}
