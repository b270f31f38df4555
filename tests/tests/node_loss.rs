//! A node that is cut off: its pods run elsewhere.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::path::Path;
use std::time::{Duration, Instant};

use gantry_tests::{TestCluster, eventually};

const LIMIT: Duration = Duration::from_secs(90);

const SPREAD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: spread, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: spread}}
  template:
    metadata: {labels: {app: spread}}
    spec:
      terminationGracePeriodSeconds: 0
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
      containers:
      - {name: c, image: '10.243.0.1:5000/busybox:1', command: [sleep, '1000000']}
";

/// The nodes of the pods that run and are not on their way out.
async fn nodes_of_running(test: &TestCluster) -> Vec<String> {
    let pods = test.items("/api/v1/namespaces/default/pods?labelSelector=app%3Dspread").await;
    let runs = |pod: &&serde_json::Value| {
        pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
    };
    let mut nodes: Vec<_> =
        pods.iter().filter(runs).map(|pod| pod["spec"]["nodeName"].as_str().unwrap().to_owned()).collect();
    nodes.sort();
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_lost_node_run_elsewhere() {
    let flags = [
        ("controller-manager", "--node-monitor-grace-period=5s"),
        ("controller-manager", "--node-monitor-period=1s"),
        // Renewed each second: a grace period shorter than the renewals would find every node silent.
        ("kubelet", "--node-lease-duration-seconds=4"),
    ];
    let test = TestCluster::start_with(3, &flags).await;
    test.apply(SPREAD).await;
    eventually(LIMIT, "one pod on each node", || async {
        let nodes = nodes_of_running(&test).await;
        if nodes == ["node-1", "node-2", "node-3"] { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;

    let lost = test.cluster().spec().nodes().nth(1).unwrap();
    test.kill_9("kubelet-node-2");
    test.run(Path::new("ip"), &["link", "set", &lost.link(), "down"], "").await.success();
    let cut = Instant::now();
    eventually(LIMIT, "three pods elsewhere", || async {
        let nodes = nodes_of_running(&test).await;
        let elsewhere = nodes.iter().filter(|node| *node != "node-2").count();
        if elsewhere == 3 { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
    println!("three pods run elsewhere {:?} after their node was cut off", cut.elapsed());

    // It comes back, and learns that its pod is not wanted there any more.
    test.run(Path::new("ip"), &["link", "set", &lost.link(), "up"], "").await.success();
    eventually(LIMIT, "node-2 to be Ready", || async {
        let ready = test.api().ready_nodes().await.map_err(|error| error.to_string())?;
        if ready.contains(&"node-2".to_owned()) { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
    test.down_purged().await;
}
