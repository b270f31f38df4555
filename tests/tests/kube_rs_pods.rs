//! kube-rs, an independent client: the streams of pods.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::time::Duration;

use futures::{AsyncBufReadExt, TryStreamExt};
use gantry_tests::{TestCluster, eventually};
use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};
use kube::api::{Api, AttachParams, EvictParams, LogParams, Patch, PatchParams, PostParams, TerminalSize};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait;
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: Duration = Duration::from_secs(60);

async fn client(test: &TestCluster) -> Client {
    let kubeconfig = Kubeconfig::read_from(test.cluster().paths().kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn start(pods: &Api<Pod>, name: &str, container: serde_json::Value) -> Pod {
    let spec = json!({"terminationGracePeriodSeconds": 0, "containers": [container]});
    let pod = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let running = wait::await_condition(pods.clone(), name, wait::conditions::is_pod_running());
    tokio::time::timeout(LIMIT, running).await.expect("the pod runs").unwrap().unwrap()
}

/// What a port of a pod answers to a GET.
async fn get(pods: &Api<Pod>, name: &str, port: u16) -> String {
    let mut forward = pods.portforward(name, &[port]).await.unwrap();
    let mut stream = forward.take_stream(port).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    drop(stream);
    // Both ends close what is done with; the client calls it an error where the server was faster.
    let _either = tokio::time::timeout(LIMIT, forward.join()).await.expect("the end");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_reached_into() {
    let test = TestCluster::start(1).await;
    let pods: Api<Pod> = Api::default_namespaced(client(&test).await);
    start(&pods, "web", json!({"name": "web", "image": test.image("web:v1")})).await;
    eventually(LIMIT, "the server to listen", || async {
        let log = pods.logs("web", &LogParams::default()).await.map_err(|error| error.to_string())?;
        if log.contains("listening on port") { Ok(()) } else { Err(log) }
    })
    .await;

    // Several connections, one after the other; a port where nobody listens is an error of that port.
    for _ in 0..3 {
        let answer = get(&pods, "web", 8080).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("version"), "{answer}");
    }
    let mut forward = pods.portforward("web", &[1]).await.unwrap();
    let error = forward.take_error(1).unwrap();
    let error = tokio::time::timeout(LIMIT, error).await.expect("an error");
    assert!(error.is_some_and(|error| error.contains("onnection refused")));

    // A log is followed while it is written, with times, and to the end of its container.
    let script = "for word in one two end; do echo $word; sleep 1; done";
    let shell = json!({"name": "c", "image": test.image("busybox:1"), "command": ["sh", "-c", script]});
    start(&pods, "words", shell).await;
    let follow = LogParams { follow: true, timestamps: true, ..LogParams::default() };
    let mut lines = pods.log_stream("words", &follow).await.unwrap().lines();
    for word in ["one", "two", "end"] {
        let line = tokio::time::timeout(LIMIT, lines.try_next()).await.expect("a line").unwrap().unwrap();
        let (time, text) = line.split_once(' ').unwrap();
        assert_eq!(text, word);
        assert!(time.ends_with('Z') && time.starts_with("20"), "{time}");
    }
    let end = tokio::time::timeout(LIMIT, lines.try_next()).await.expect("the log ends").unwrap();
    assert_eq!(end, None);
    let tail = LogParams { tail_lines: Some(1), ..LogParams::default() };
    eventually(LIMIT, "the container to end or run again", || async {
        let previous = LogParams { previous: true, ..tail.clone() };
        let log = pods.logs("words", &previous).await.map_err(|error| error.to_string())?;
        if log == "end\n" { Ok(()) } else { Err(log) }
    })
    .await;

    // A terminal has a size, which changes.
    let shell = json!({"name": "c", "image": test.image("busybox:1"), "command": ["sleep", "1000000"]});
    start(&pods, "shell", shell).await;
    let mut terminal = pods.exec("shell", ["sh"], &AttachParams::interactive_tty()).await.unwrap();
    let mut sizes = terminal.terminal_size().unwrap();
    futures::SinkExt::send(&mut sizes, TerminalSize { width: 101, height: 37 }).await.unwrap();
    let (mut stdin, mut stdout) = (terminal.stdin().unwrap(), terminal.stdout().unwrap());
    let mut said = Vec::new();
    let asking = async {
        // The size comes over another channel than the question.
        while !String::from_utf8_lossy(&said).contains("37 101") {
            stdin.write_all(b"stty size\n").await.unwrap();
            let mut part = [0; 1024];
            let count = stdout.read(&mut part).await.unwrap();
            assert_ne!(count, 0, "it ended: {:?}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&part[..count]);
        }
        stdin.write_all(b"exit 0\n").await.unwrap();
    };
    tokio::time::timeout(LIMIT, asking).await.expect("the size");
    let status = terminal.take_status().unwrap();
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).await.unwrap();
    let status = tokio::time::timeout(LIMIT, status).await.expect("the shell ends").unwrap();
    assert_eq!(status.status.as_deref(), Some("Success"));

    // A container that is added to see what the others do.
    let debug: EphemeralContainer = serde_json::from_value(json!({"name": "debug",
        "image": test.image("busybox:1"), "command": ["sh", "-c", "echo seen; sleep 1000000"],
        "targetContainerName": "c"}))
    .unwrap();
    let add = Patch::Strategic(json!({"spec": {"ephemeralContainers": [debug]}}));
    pods.patch_ephemeral_containers("shell", &PatchParams::default(), &add).await.unwrap();
    let own = LogParams { container: Some("debug".to_owned()), ..LogParams::default() };
    eventually(LIMIT, "the ephemeral container", || async {
        let log = pods.logs("shell", &own).await.map_err(|error| error.to_string())?;
        if log == "seen\n" { Ok(()) } else { Err(log) }
    })
    .await;

    let uid = pods.get("shell").await.unwrap().uid().unwrap();
    pods.evict("shell", &EvictParams::default()).await.unwrap();
    let gone = wait::await_condition(pods.clone(), "shell", wait::conditions::is_deleted(&uid));
    tokio::time::timeout(LIMIT, gone).await.expect("the pod goes").unwrap();
    test.down_purged().await;
}
