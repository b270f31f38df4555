//! kubectl, where this machine has one: what most people type.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::path::Path;

use gantry_tests::{Kubectl, Output, TestCluster};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_as_on_kubernetes() {
    let Some(kubectl) = Kubectl::program() else { return };
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

/// Apply by the server: owners, conflicts, and the way to it from `kubectl apply` without the server.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_by_the_server() {
    let Some(kubectl) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let map = |name: &str, value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n")
    };
    let run = async |args: &[&str], input: &str| -> Output { test.run(&kubectl, args, input).await };
    let by_server = ["apply", "--server-side", "-f", "-"];

    let made = run(&by_server, &map("ssa", "a")).await.success();
    assert!(made.contains("configmap/ssa serverside-applied"), "{made}");
    let owners = ["get", "configmap", "ssa", "-o", "yaml", "--show-managed-fields"];
    let shown = run(&owners, "").await.success();
    assert!(shown.contains("manager: kubectl") && shown.contains("operation: Apply"), "{shown}");
    assert!(!run(&["get", "configmap", "ssa", "-o", "yaml"], "").await.success().contains("managedFields"));

    let other = ["apply", "--server-side", "--field-manager=other", "-f", "-"];
    let refused = run(&other, &map("ssa", "b")).await.failure();
    assert!(
        refused.contains("Apply failed with 1 conflict: conflict with \"kubectl\": .data.key"),
        "{refused}"
    );
    let forced = [&other[..], &["--force-conflicts"]].concat();
    run(&forced, &map("ssa", "b")).await.success();
    let value = ["get", "configmap", "ssa", "-o", "jsonpath={.data.key}"];
    assert_eq!(run(&value, "").await.success().trim(), "b");

    // A difference is told by the code 1, and nothing is written.
    let diff = ["diff", "--server-side", "--field-manager=other", "-f", "-"];
    let difference = run(&diff, &map("ssa", "c")).await;
    assert_eq!(difference.code, 1, "{}", difference.stderr);
    let lines = &difference.stdout;
    assert!(lines.contains("+  key: c") && lines.contains("-  key: b"), "{lines}");
    assert_eq!(run(&value, "").await.success().trim(), "b");
    run(&diff, &map("ssa", "b")).await.success();

    // What was applied without the server is taken over without a conflict.
    run(&["apply", "-f", "-"], &map("moved", "a")).await.success();
    run(&by_server, &map("moved", "b")).await.success();
    let owners =
        run(&["get", "configmap", "moved", "-o", "yaml", "--show-managed-fields"], "").await.success();
    assert!(!owners.contains("manager: kubectl-client-side-apply\n    operation: Update"), "{owners}");
    test.down_purged().await;
}
