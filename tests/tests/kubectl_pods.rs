//! kubectl, where this machine has one: the streams of pods, and their eviction.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use gantry_tests::{Kubectl, Output, TestCluster};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

fn begin(test: &TestCluster, kubectl: &Path, args: &[&str], env: &[(&str, &str)]) -> Child {
    Command::new(kubectl)
        .args(args)
        .env("KUBECONFIG", test.cluster().paths().kubeconfig())
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The first line that a command prints and that has this in it.
async fn line_with(child: &mut Child, text: &str) -> String {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("it ended without {text:?}");
    };
    timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("no {text:?}"))
}

/// What a port of this machine answers to a GET.
async fn get(port: u16) -> String {
    let asked = async {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    };
    timeout(LIMIT, asked).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reaches_into_pods() {
    let Some(kubectl) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let said = async |args: &[&str]| -> String { test.run(&kubectl, args, "").await.success() };
    test.apply_example("web.yaml").await;
    said(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;

    let typed = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: typed}}\nspec:\n  containers:\n  - name: c\n    image: {}\n    \
         command: [sh]\n    stdin: true\n    tty: true\n",
        test.image("busybox:1")
    );
    test.run(&kubectl, &["apply", "-f", "-"], &typed).await.success();
    said(&["wait", "pod/typed", "--for=condition=Ready", "--timeout=60s"]).await;

    // Through a WebSocket, as newer clients do, and over SPDY, as older ones.
    for websockets in ["true", "false"] {
        let env = [
            ("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets),
            ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets),
        ];
        let mut forward = begin(&test, &kubectl, &["port-forward", "deployment/web", ":8080"], &env);
        let line = line_with(&mut forward, "Forwarding from 127.0.0.1:").await;
        let port = line.split(':').nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        for _ in 0..3 {
            let answer = get(port).await;
            assert!(answer.starts_with("HTTP/1.") && answer.contains("web-"), "{websockets}: {answer}");
        }
        forward.kill().await.unwrap();
        for (script, code) in [("echo a; exit 3", 3), ("echo a", 0)] {
            let exec = begin(&test, &kubectl, &["exec", "typed", "--", "sh", "-c", script], &env);
            let ended = timeout(LIMIT, exec.wait_with_output()).await.unwrap().unwrap();
            assert_eq!(
                (ended.status.code(), &*ended.stdout),
                (Some(code), &b"a\n"[..]),
                "{websockets}: {script}"
            );
        }
    }

    let mut attached = begin(&test, &kubectl, &["attach", "-i", "typed"], &[]);
    attached.stdin.as_mut().unwrap().write_all(b"echo $((40 + 2))\n").await.unwrap();
    line_with(&mut attached, "42").await;
    attached.kill().await.unwrap();

    let busybox = format!("--image={}", test.image("busybox:1"));
    let debug = [
        "debug",
        "typed",
        &busybox,
        "--container=d",
        "--target=c",
        "--",
        "sh",
        "-c",
        "echo seen; sleep 1000",
    ];
    said(&debug).await;
    let state = "jsonpath={.status.ephemeralContainerStatuses[0].state.running}";
    said(&["wait", "pod/typed", &format!("--for={state}"), "--timeout=60s"]).await;
    assert_eq!(said(&["logs", "typed", "-c", "d"]).await, "seen\n");
    // It sees the processes of its target: its own shell has arguments.
    let seen = said(&["exec", "typed", "-c", "d", "--", "ps"]).await;
    assert!(seen.lines().any(|line| line.trim_end().ends_with(" sh")), "{seen}");
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_drains_a_node() {
    let Some(kubectl) = Kubectl::program() else { return };
    let test = TestCluster::start(2).await;
    let run = async |args: &[&str]| -> Output { test.run(&kubectl, args, "").await };
    let said = async |args: &[&str]| -> String { run(args).await.success() };
    test.apply_example("web.yaml").await;
    said(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    said(&["create", "poddisruptionbudget", "web", "--selector=app=web", "--min-available=2"]).await;
    said(&[
        "wait",
        "poddisruptionbudget/web",
        "--for=jsonpath={.status.disruptionsAllowed}=1",
        "--timeout=60s",
    ])
    .await;
    let drained = said(&["drain", "node-1", "--ignore-daemonsets", "--timeout=90s"]).await;
    assert!(drained.contains("node/node-1 drained"), "{drained}");
    let left =
        said(&["get", "pods", "-l", "app=web", "--field-selector=spec.nodeName=node-1", "-o", "name"]).await;
    assert_eq!(left, "");
    said(&["rollout", "status", "deployment/web", "--timeout=60s"]).await;
    // Nowhere else to go: the budget holds.
    said(&["patch", "poddisruptionbudget", "web", "-p", r#"{"spec":{"minAvailable":3}}"#]).await;
    said(&[
        "wait",
        "poddisruptionbudget/web",
        "--for=jsonpath={.status.disruptionsAllowed}=0",
        "--timeout=60s",
    ])
    .await;
    let refused = run(&["drain", "node-2", "--ignore-daemonsets", "--timeout=10s"]).await;
    assert!(
        refused.stderr.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{refused:?}"
    );
    test.down_purged().await;
}
