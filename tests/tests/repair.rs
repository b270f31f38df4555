//! What is killed comes back, and the application goes on meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use gantry_tests::{Load, TestCluster, eventually};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn killing_any_component_loses_no_request() {
    let test = TestCluster::start(1).await;
    test.apply_example("web.yaml").await;
    test.kctl(&["rollout", "status", "deployment/web", "--timeout=60"]).await.success();
    let service = test.api().get_json("/api/v1/namespaces/default/services/web").await.unwrap();
    let target = format!("{}:80", service["spec"]["clusterIP"].as_str().unwrap()).parse().unwrap();
    let netns = Path::new("/run/netns").join(test.cluster().spec().nodes().next().unwrap().netns());
    // Ready pods are in the node's rules a moment later.
    eventually(LIMIT, "the service to answer", || async {
        let load = Load::start(netns.clone(), target, 50);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let outcome = tokio::task::spawn_blocking(|| load.finish()).await.unwrap();
        if outcome.failures.is_empty() { Ok(()) } else { Err(format!("{:?}", outcome.failures)) }
    })
    .await;
    for name in [
        "kubelet-node-1",
        "proxy-node-1",
        "containerd-node-1",
        "apiserver",
        "scheduler",
        "controller-manager",
        "dns",
        "etcd",
        "supervisor",
    ] {
        if name == "supervisor" {
            test.kill_9(name);
            test.up().await;
            continue;
        }
        let load = Load::start(netns.clone(), target, 50);
        let killed = Instant::now();
        let old = test.kill_9(name);
        eventually(LIMIT, name, || async {
            let now = test.cluster().pid(name).map_err(|error| error.to_string())?;
            now.filter(|pid| *pid != old).ok_or_else(|| "not back".to_owned())
        })
        .await;
        let back = killed.elapsed();
        // Whole again: a new pod comes up, which needs every component.
        let pod = format!("probe-{name}");
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, namespace: default}}\n\
             spec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: c\n    \
             image: 10.243.0.1:5000/busybox:1\n    command: [sleep, '1000000']\n"
        );
        eventually(LIMIT, "apply", || async {
            let text = manifest.replace("10.243.0.1:5000/", &test.image(""));
            let output = test.kctl_with_input(&["apply", "-f", "-"], &text).await;
            if output.code == 0 { Ok(()) } else { Err(output.stderr) }
        })
        .await;
        eventually(LIMIT, "the pod", || async {
            let path = format!("/api/v1/namespaces/default/pods/{pod}");
            let object = test.api().get_json(&path).await.map_err(|error| error.to_string())?;
            let phase = object["status"]["phase"].as_str().unwrap_or_default().to_owned();
            if phase == "Running" { Ok(()) } else { Err(phase) }
        })
        .await;
        let whole = killed.elapsed();
        let outcome = tokio::task::spawn_blocking(|| load.finish()).await.unwrap();
        println!(
            "{name}: back after {back:?}, a new pod runs after {whole:?}, {} of {} requests failed",
            outcome.failures.len(),
            outcome.requests
        );
        assert_eq!(outcome.failures, [], "{name}");
    }
}
