//! Pods find services by name, see changed configuration, and their output can be read.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::time::Duration;

use gantry_tests::{TestCluster, eventually};

const LIMIT: Duration = Duration::from_secs(60);

const CONFIGURED: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {greeting: hello}
---
apiVersion: v1
kind: Pod
metadata: {name: configured, namespace: default}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: 10.243.0.1:5000/busybox:1
    command: [sh, -c, 'echo started with $GREETING; echo trouble >&2; sleep 1000000']
    env:
    - name: GREETING
      valueFrom: {configMapKeyRef: {name: settings, key: greeting}}
    volumeMounts: [{name: settings, mountPath: /settings}]
  volumes:
  - {name: settings, configMap: {name: settings}}
";

async fn running(test: &TestCluster, pod: &str) {
    eventually(LIMIT, pod, || async {
        let object = test.api().get_json(&format!("/api/v1/namespaces/default/pods/{pod}")).await;
        let object = object.map_err(|error| error.to_string())?;
        if object["status"]["phase"] == "Running" { Ok(()) } else { Err(object["status"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_find_services_by_name() {
    let test = TestCluster::start(2).await;
    test.apply_example("web.yaml").await;
    test.apply_example("shell.yaml").await;
    running(&test, "shell").await;
    test.kctl(&["rollout", "status", "deployment/web", "--timeout=60"]).await.success();
    for name in ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local"] {
        let url = format!("http://{name}/");
        eventually(LIMIT, name, || async {
            let output = test.exec("shell", &["wget", "-qO-", &url]).await;
            if output.stdout.contains("\"pod\":\"web-") { Ok(()) } else { Err(format!("{output:?}")) }
        })
        .await;
    }
    let output = test.exec("shell", &["nslookup", "nothing.default.svc.cluster.local"]).await;
    assert_ne!(output.code, 0, "{output:?}");
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_config_map_reaches_the_file_and_output_reaches_the_reader() {
    let test = TestCluster::start(1).await;
    test.apply(CONFIGURED).await;
    running(&test, "configured").await;
    let read = ["cat", "/settings/greeting"];
    assert_eq!(test.exec("configured", &read).await.success(), "hello");
    eventually(LIMIT, "the log", || async {
        let log = test.kctl(&["logs", "configured"]).await;
        let lines: Vec<&str> = log.stdout.lines().collect();
        if lines.contains(&"started with hello") && lines.contains(&"trouble") {
            Ok(())
        } else {
            Err(format!("{log:?}"))
        }
    })
    .await;

    let changed = CONFIGURED.split("---").next().unwrap().replace("hello", "good morning");
    test.apply(&changed).await;
    let applied = std::time::Instant::now();
    eventually(Duration::from_secs(120), "the changed file", || async {
        let output = test.exec("configured", &read).await;
        if output.stdout == "good morning" { Ok(()) } else { Err(format!("{output:?}")) }
    })
    .await;
    println!("the changed ConfigMap was in the file after {:?}", applied.elapsed());

    let failed = test.exec("configured", &["sh", "-c", "exit 3"]).await;
    assert_eq!(failed.code, 3, "{failed:?}");
    test.down_purged().await;
}
