//! What is killed comes back, and the application goes on meanwhile.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantry_tests::{Load, TestCluster, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// A cluster whose Service `web` answers, from inside the node's namespace, at the address.
async fn serving() -> (TestCluster, PathBuf, SocketAddr) {
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
    (test, netns, target)
}

/// The ready pods of the example, with the restarts of their containers.
async fn ready_pods(test: &TestCluster) -> Vec<(String, i64)> {
    let pods = test.items("/api/v1/namespaces/default/pods?labelSelector=app%3Dweb").await;
    let ready = pods.iter().filter(|pod| {
        let container = &pod["status"]["containerStatuses"][0];
        pod["metadata"]["deletionTimestamp"].is_null() && container["ready"] == true
    });
    let pods = ready.map(|pod| {
        let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or_default();
        (pod["metadata"]["name"].as_str().unwrap().to_owned(), restarts)
    });
    pods.collect()
}

/// The process of one of the example's containers on the first node.
fn web_process(test: &TestCluster) -> i32 {
    let cgroup = test.cluster().spec().nodes().next().unwrap().cgroup();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // The dead have no command line; an earlier cluster's may still wait for their parent.
        read("comm") == "web\n"
            && !read("cmdline").is_empty()
            && read("cgroup").contains(cgroup.trim_start_matches('/'))
    })
    .expect("a process of the example")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pod_and_a_killed_container_are_replaced() {
    let (test, netns, target) = serving().await;
    let load = Load::start(netns.clone(), target, 50);
    let begin = Instant::now();
    let victim = ready_pods(&test).await[0].0.clone();
    test.kctl(&["delete", "pod", &victim]).await.success();
    eventually(LIMIT, "another pod", || async {
        let pods = ready_pods(&test).await;
        let replaced = pods.len() == 3 && pods.iter().all(|(name, _)| *name != victim);
        if replaced { Ok(()) } else { Err(format!("{pods:?}")) }
    })
    .await;
    let whole = begin.elapsed();
    let outcome = tokio::task::spawn_blocking(|| load.finish()).await.unwrap();
    println!(
        "kctl delete pod: three ready again after {whole:?}, {} of {} requests failed",
        outcome.failures.len(),
        outcome.requests
    );
    assert_eq!(outcome.failures, []);

    let load = Load::start(netns, target, 50);
    let begin = Instant::now();
    let process = nix::unistd::Pid::from_raw(web_process(&test));
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually(LIMIT, "the container to run again", || async {
        let pods = ready_pods(&test).await;
        let again = pods.len() == 3 && pods.iter().map(|(_, restarts)| restarts).sum::<i64>() == 1;
        if again { Ok(()) } else { Err(format!("{pods:?}")) }
    })
    .await;
    let whole = begin.elapsed();
    let outcome = tokio::task::spawn_blocking(|| load.finish()).await.unwrap();
    println!(
        "kill -9 of a container's process: three ready again after {whole:?}, {} of {} requests failed",
        outcome.failures.len(),
        outcome.requests
    );
    // Those that the process had, and those that came to its address before the endpoint was taken away.
    assert!(outcome.failures.len() < outcome.requests / 4 + 10, "{:?}", outcome.failures);
    test.down_purged().await;
}

/// Freezes the processes of a container, as a runc does that is killed before it thaws them again.
fn freeze(process: i32) {
    let text = std::fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let path = |name: &str| lines.clone().find(|(found, _)| *found == name).map(|(_, path)| path);
    let (file, frozen) = match path("freezer") {
        Some(path) => (format!("/sys/fs/cgroup/freezer{path}/freezer.state"), "FROZEN"),
        None => (format!("/sys/fs/cgroup{}/cgroup.freeze", path("").unwrap()), "1"),
    };
    std::fs::write(&file, frozen).unwrap_or_else(|error| panic!("{file}: {error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn down_ends_frozen_containers() {
    let (test, ..) = serving().await;
    freeze(web_process(&test));
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_any_component_loses_no_request() {
    let (test, netns, target) = serving().await;
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
