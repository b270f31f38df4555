//! Output through the log driver.

use std::fs;
use std::path::Path;

use gantry_container_runtime::{ContainerConfig, LogConfig};
use tokio::io::AsyncWriteExt;

use crate::contract::Subject;
use crate::support::{Node, until};

/// All texts of a log in order, with their streams.
fn records(path: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    // Beside the log there may be a socket.
    files.retain(|file| file.extension().is_none_or(|extension| extension != "attach"));
    files.sort();
    // The current file has the shortest name and the youngest records.
    files.rotate_left(1);
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let record = |line: &str| {
        let mut parts = line.splitn(4, ' ').skip(1);
        let stream = parts.next().unwrap().to_owned();
        assert_eq!(parts.next(), Some("F"), "{line}");
        (stream, parts.next().unwrap().to_owned())
    };
    text.lines().map(record).collect()
}

async fn run(node: &Node, subject: &Subject, id: &str, script: &str, log: LogConfig) -> std::path::PathBuf {
    let path = node.directory.path().join("logs").join(id).join("0.log");
    let log = LogConfig { path: path.clone(), ..log };
    let config = ContainerConfig { log: Some(log), ..subject.config(id, &["sh", "-c", script]) };
    subject.runtime.create_container(config).await.unwrap();
    subject.runtime.start_container(id).await.unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_complete_even_while_containerd_is_dead() {
    let mut node = Node::start().await;
    let runtime = node.ready().await;
    let subject = Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() };
    let log = LogConfig { max_size_bytes: 3 << 20, max_files: 20, ..LogConfig::new("") };
    let script = "echo first >&2; sleep 0.3; seq 1 200000; echo last >&2; exit 6";
    let path = run(&node, &subject, "talker", script, log).await;
    node.kill_containerd();
    let finished = || {
        let files = fs::read_dir(path.parent().unwrap()).into_iter().flatten().flatten();
        files
            .map(|file| fs::read_to_string(file.path()).unwrap_or_default())
            .any(|text| text.ends_with("F last\n"))
    };
    until("everything is said", || async { finished() }).await;
    node.start_containerd();
    until("the end is known", || async {
        let status = subject.runtime.container_status("talker").await;
        status.is_ok_and(|status| status.state.is_finished())
    })
    .await;
    let records = records(&path);
    let lines: Vec<&str> =
        records.iter().filter(|(s, _)| s == "stdout").map(|(_, text)| text.as_str()).collect();
    assert_eq!(lines.len(), 200_000);
    assert!(lines.iter().zip(1..).all(|(line, i)| *line == i.to_string()));
    let errors: Vec<&str> =
        records.iter().filter(|(s, _)| s == "stderr").map(|(_, text)| text.as_str()).collect();
    assert_eq!(errors, ["first", "last"]);
    assert!(fs::read_dir(path.parent().unwrap()).unwrap().count() > 2, "the log was rotated");
    subject.runtime.remove_container("talker").await.unwrap();
    // The log stays, its driver does not.
    assert!(path.exists());
    let mark = path.display().to_string();
    until("the driver is gone", || async {
        crate::support::processes(std::slice::from_ref(&mark)).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminals_output_is_logged_while_it_is_typed_into() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let subject = Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() };
    let path = node.directory.path().join("logs/tty/0.log");
    let script = "stty -echo; echo on a terminal; read line; [ -t 1 ] && echo $line";
    let config = ContainerConfig {
        tty: true,
        stdin: true,
        log: Some(LogConfig::new(&path)),
        ..subject.config("tty", &["sh", "-c", script])
    };
    subject.runtime.create_container(config).await.unwrap();
    subject.runtime.start_container("tty").await.unwrap();
    until("it asks", || async { fs::read_to_string(&path).is_ok_and(|text| text.contains("terminal")) })
        .await;
    let mut stdin = subject.runtime.open_stdin("tty").await.unwrap();
    stdin.write_all(b"yes\n").await.unwrap();
    until("it has spoken", || async { fs::read_to_string(&path).is_ok_and(|text| text.contains("yes")) })
        .await;
    let texts: Vec<_> = records(&path).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["on a terminal", "yes"]);
    subject.runtime.remove_container("tty").await.unwrap();
}
