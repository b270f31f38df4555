//! etcd is down or hangs: writes are refused in time and clearly, and nothing that was acknowledged is lost.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gantry_tests::{TestCluster, eventually};
use hyper::{Method, StatusCode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const LIMIT: Duration = Duration::from_secs(60);
/// The API server gives etcd 5 s; the rest is for a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

async fn create(test: &TestCluster, name: &str) -> (StatusCode, serde_json::Value) {
    let body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let body = Bytes::from(body.to_string());
    let answer = test.api().request(Method::POST, CONFIG_MAPS, "application/json", body).await;
    let (status, body) = answer.unwrap_or_else(|error| panic!("{error}"));
    (status, serde_json::from_slice(&body).unwrap())
}

fn signal(test: &TestCluster, process: &str, signal: Signal) {
    let pid = test.cluster().pid(process).unwrap().unwrap_or_else(|| panic!("{process} does not run"));
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Stops a process, and returns once every thread of it stands still: until then one may still answer.
async fn freeze(test: &TestCluster, process: &str) {
    signal(test, process, Signal::SIGSTOP);
    let pid = test.cluster().pid(process).unwrap().unwrap();
    eventually(LIMIT, "the process to stop", || async {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
        let stopped = threads.flatten().all(|thread| {
            let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("State:\tT"))
        });
        if stopped { Ok(()) } else { Err("some threads run".to_owned()) }
    })
    .await;
}

/// Writes until one is acknowledged again, and counts it.
async fn resumes(test: &TestCluster, prefix: &str, acknowledged: &mut BTreeSet<String>) {
    let begin = Instant::now();
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    let name = eventually(LIMIT, "a write", || async {
        let attempt = attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("{prefix}-{attempt}");
        match create(test, &name).await {
            (StatusCode::CREATED, _) => Ok(name),
            (status, body) => Err(format!("{status} {body}")),
        }
    })
    .await;
    println!("{prefix}: writes are accepted again {:?} after etcd is back", begin.elapsed());
    acknowledged.insert(name);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_is_said_and_loses_nothing() {
    let test = TestCluster::start(1).await;
    let mut acknowledged = BTreeSet::new();
    for number in 0..50 {
        let name = format!("before-{number}");
        assert_eq!(create(&test, &name).await.0, StatusCode::CREATED);
        acknowledged.insert(name);
    }

    // Down: nobody starts it again while its supervisor is stopped.
    freeze(&test, "supervisor").await;
    test.kill_9("etcd");
    // A write on its way at that moment has an unknown outcome, like one to an etcd that hangs. The answer of the last
    // check is kept for a moment.
    eventually(LIMIT, "/readyz to fail", || async {
        let (ready, _) = test.api().request(Method::GET, "/readyz", "", Bytes::new()).await.unwrap();
        if ready == StatusCode::INTERNAL_SERVER_ERROR { Ok(()) } else { Err(ready.to_string()) }
    })
    .await;
    let begin = Instant::now();
    let (status, body) = create(&test, "down").await;
    println!("etcd down: a write is refused after {:?}: {status} {}", begin.elapsed(), body["message"]);
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(body["reason"], "ServiceUnavailable", "{body}");
    assert!(begin.elapsed() < DEADLINE, "{:?}", begin.elapsed());
    let cached = test.api().get_json(&format!("{CONFIG_MAPS}?resourceVersion=0")).await.unwrap();
    assert!(cached["items"].as_array().unwrap().len() >= acknowledged.len());
    let (live, _) = test.api().request(Method::GET, "/livez", "", Bytes::new()).await.unwrap();
    assert_eq!(live, StatusCode::OK);
    signal(&test, "supervisor", Signal::SIGCONT);
    resumes(&test, "down", &mut acknowledged).await;

    // It hangs: whether the write happens is not known, and that is what the client learns.
    freeze(&test, "etcd").await;
    let begin = Instant::now();
    let (status, body) = create(&test, "hangs").await;
    println!("etcd hangs: a write is given up after {:?}: {status} {}", begin.elapsed(), body["message"]);
    assert!(status.is_server_error(), "{status} {body}");
    assert!(begin.elapsed() < DEADLINE, "{:?}", begin.elapsed());
    signal(&test, "etcd", Signal::SIGCONT);
    resumes(&test, "hangs", &mut acknowledged).await;

    let stored = test.items(CONFIG_MAPS).await;
    let stored: BTreeSet<_> =
        stored.iter().map(|map| map["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    println!("{} writes acknowledged, {} of them lost", acknowledged.len(), lost.len());
    assert!(lost.is_empty(), "{lost:?}");
    test.down_purged().await;
}
