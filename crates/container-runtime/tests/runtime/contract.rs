//! What every implementation of the runtime does. The same battery runs against the fake and against containerd.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use gantry_container_runtime::fake::{Behaviour, Exec, FakeRuntime};
use gantry_container_runtime::{
    ContainerConfig, ContainerState, ContainerStatus, Error, EventStream, ExecConfig, ImageConfig, Runtime,
    RuntimeEvent,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{LIMIT, Node, until};

/// What the battery runs on.
pub(crate) struct Subject {
    pub(crate) runtime: Arc<dyn Runtime>,
    /// An image that can be pulled and is on the node.
    pub(crate) image: String,
    pub(crate) cgroup: String,
}

impl Subject {
    pub(crate) fn config(&self, id: &str, command: &[&str]) -> ContainerConfig {
        ContainerConfig {
            id: id.into(),
            image: self.image.clone(),
            command: command.iter().map(|c| (*c).to_owned()).collect(),
            cgroup_parent: self.cgroup.clone(),
            ..ContainerConfig::default()
        }
    }

    pub(crate) async fn run(&self, id: &str, command: &[&str]) -> u32 {
        self.runtime.create_container(self.config(id, command)).await.unwrap();
        match self.runtime.start_container(id).await.unwrap().state {
            ContainerState::Running { pid, .. } => pid,
            other => panic!("{id} is {}", other.name()),
        }
    }

    pub(crate) async fn state(&self, id: &str) -> ContainerState {
        self.runtime.container_status(id).await.unwrap().state
    }
}

/// The next event that is about `id`.
pub(crate) async fn next_exit(events: &mut EventStream, id: &str) -> (i32, bool) {
    let (_, exit_code, oom_killed) = next_exit_status(events, id).await;
    (exit_code, oom_killed)
}

async fn next_exit_status(events: &mut EventStream, id: &str) -> (ContainerStatus, i32, bool) {
    let wait = async {
        loop {
            match events.next().await.expect("events never end") {
                RuntimeEvent::Exit { id: who, exit_code, oom_killed, status, .. } if who == id => {
                    return (*status, exit_code, oom_killed);
                }
                _ => {}
            }
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("the exit is told")
}

#[tokio::test]
async fn fake() {
    let fake = FakeRuntime::new();
    fake.add_remote_image("r.io/busybox:1", ImageConfig::default());
    fake.pull_image("r.io/busybox:1", None, None).await.unwrap();
    fake.on_start(|config| match config.command.last().map(String::as_str) {
        Some("exit 7") => Behaviour::Exit(7),
        _ => Behaviour::Run,
    });
    fake.on_exec(|_, config| match config.argv.join(" ").as_str() {
        "cat" => Exec::Echo,
        "sleep 1000" => Exec::Hang,
        "sh -c echo out; echo err >&2; exit 3" => {
            Exec::Say { stdout: b"out\n".into(), stderr: b"err\n".into(), exit_code: 3 }
        }
        "seq 1 100000" => Exec::say((1..=100_000).map(|i| format!("{i}\n")).collect::<String>()),
        other => panic!("{other} is not scripted"),
    });
    battery(Subject { runtime: Arc::new(fake), image: "r.io/busybox:1".into(), cgroup: String::new() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containerd() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    battery(Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() }).await;
}

async fn battery(subject: Subject) {
    containers_live_and_die(&subject).await;
    exits_are_told_and_kept(&subject).await;
    what_is_asked_for_must_fit(&subject).await;
    execs_run_beside_the_container(&subject).await;
    execs_take_input(&subject).await;
    usage_is_measured(&subject).await;
    images_come_and_go(&subject).await;
}

async fn containers_live_and_die(subject: &Subject) {
    let runtime = &subject.runtime;
    assert!(runtime.list_containers().await.unwrap().is_empty());
    let labels = BTreeMap::from([("pod".to_owned(), "p1".to_owned())]);
    let config = ContainerConfig { labels: labels.clone(), ..subject.config("life", &["sleep", "1000"]) };
    runtime.create_container(config).await.unwrap();
    let listed = runtime.list_containers().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].id.as_str(), &listed[0].labels, &listed[0].image),
        ("life", &labels, &subject.image)
    );
    assert_eq!(listed[0].state, ContainerState::Created);
    let image = runtime.image_status(&subject.image).await.unwrap().unwrap();
    for name in [&subject.image, &image.id] {
        let found = runtime.find_image(name).await.unwrap().unwrap();
        assert_eq!((found.id, found.config), (image.id.clone(), image.config.clone()));
    }
    assert_eq!(listed[0].image_id, image.id);

    let mut events = runtime.events();
    assert_eq!(events.next().await, Some(RuntimeEvent::Resync));
    let started = runtime.start_container("life").await.unwrap();
    assert_eq!(started, runtime.container_status("life").await.unwrap());
    let ContainerState::Running { started_at, .. } = started.state else { panic!() };

    runtime.kill("life", 9, true).await.unwrap();
    let (told, code, oom_killed) = next_exit_status(&mut events, "life").await;
    assert_eq!((code, oom_killed), (137, false));
    assert_eq!(told, runtime.container_status("life").await.unwrap());
    let ContainerState::Exited { exit_code, started_at: same, finished_at, oom_killed } =
        subject.state("life").await
    else {
        panic!()
    };
    assert_eq!((exit_code, same, oom_killed), (137, started_at, false));
    assert!(finished_at >= started_at);
    // Signals to what has ended go nowhere.
    runtime.kill("life", 15, false).await.unwrap();

    runtime.remove_container("life").await.unwrap();
    assert!(runtime.container_status("life").await.unwrap_err().is_not_found());
    assert!(runtime.list_containers().await.unwrap().is_empty());
}

async fn exits_are_told_and_kept(subject: &Subject) {
    let mut events = subject.runtime.events();
    subject.run("seven", &["sh", "-c", "exit 7"]).await;
    assert_eq!(next_exit(&mut events, "seven").await, (7, false));
    // The end is the same however often and late one asks.
    for _ in 0..3 {
        assert!(matches!(subject.state("seven").await, ContainerState::Exited { exit_code: 7, .. }));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let again = subject.runtime.start_container("seven").await.unwrap_err();
    assert!(matches!(again, Error::WrongState { .. }), "{again}");
    subject.runtime.remove_container("seven").await.unwrap();
}

async fn what_is_asked_for_must_fit(subject: &Subject) {
    let runtime = &subject.runtime;
    runtime.create_container(subject.config("twin", &["sleep", "1000"])).await.unwrap();
    let twice = runtime.create_container(subject.config("twin", &["sleep", "1000"])).await.unwrap_err();
    assert!(twice.is_already_exists(), "{twice}");
    // The first one is none the worse for it.
    runtime.start_container("twin").await.unwrap();
    let twice = runtime.start_container("twin").await.unwrap_err();
    assert!(matches!(twice, Error::WrongState { .. }), "{twice}");
    // Removing ends what runs.
    runtime.remove_container("twin").await.unwrap();
    runtime.remove_container("twin").await.unwrap();

    let config = ContainerConfig { image: "r.io/none:1".into(), ..subject.config("imageless", &["x"]) };
    assert!(runtime.create_container(config).await.unwrap_err().is_not_found());
    let bad = runtime.create_container(subject.config("no/slash", &["x"])).await.unwrap_err();
    assert!(matches!(bad, Error::InvalidConfig { field: "id", .. }), "{bad}");
    assert!(runtime.start_container("none").await.unwrap_err().is_not_found());
    assert!(runtime.kill("none", 9, false).await.unwrap_err().is_not_found());
    assert!(runtime.stats("none").await.unwrap_err().is_not_found());
    assert!(runtime.exec("none", ExecConfig::new(["x"])).await.unwrap_err().is_not_found());
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn execs_run_beside_the_container(subject: &Subject) {
    let runtime = &subject.runtime;
    subject.run("exec", &["sleep", "1000"]).await;
    let script = argv(&["sh", "-c", "echo out; echo err >&2; exit 3"]);
    let output = runtime.exec_sync("exec", &script, LIMIT, 100).await.unwrap();
    assert_eq!((output.exit_code, &output.stdout[..], &output.stderr[..]), (3, &b"out\n"[..], &b"err\n"[..]));
    assert!(!output.truncated);

    let output = runtime.exec_sync("exec", &argv(&["seq", "1", "100000"]), LIMIT, 10).await.unwrap();
    assert_eq!((output.exit_code, &output.stdout[..], output.truncated), (0, &b"1\n2\n3\n4\n5\n"[..], true));

    let hang = argv(&["sleep", "1000"]);
    let late = runtime.exec_sync("exec", &hang, Duration::from_millis(200), 10).await.unwrap_err();
    assert!(matches!(late, Error::Deadline { .. }), "{late}");
    // The container itself goes on, and no event told otherwise.
    assert!(subject.state("exec").await.is_running());
    runtime.remove_container("exec").await.unwrap();
}

async fn execs_take_input(subject: &Subject) {
    subject.run("cat", &["sleep", "1000"]).await;
    let config = ExecConfig { stdin: true, ..ExecConfig::new(["cat"]) };
    let mut session = subject.runtime.exec("cat", config).await.unwrap();
    let mut stdin = session.stdin.take().unwrap();
    let sent = "0123456789abcdef".repeat(20_000);
    let writing = async {
        stdin.write_all(sent.as_bytes()).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let mut received = String::new();
    let reading = session.stdout.read_to_string(&mut received);
    let both = async { tokio::join!(writing, reading) };
    tokio::time::timeout(LIMIT, both).await.unwrap().1.unwrap();
    assert_eq!(received.len(), sent.len());
    assert_eq!(received, sent);
    assert_eq!(session.control.wait().await.unwrap(), 0);
    subject.runtime.remove_container("cat").await.unwrap();
}

async fn usage_is_measured(subject: &Subject) {
    subject.run("stats", &["sleep", "1000"]).await;
    // What the process was before it became what it was asked to be has threads that end a moment later.
    until("one process runs", || async { subject.runtime.stats("stats").await.unwrap().pids == 1 }).await;
    let stats = subject.runtime.stats("stats").await.unwrap();
    assert!(stats.cpu_usage_ns > 0 && stats.memory_usage_bytes > 0, "{stats:?}");
    assert!(stats.memory_working_set_bytes <= stats.memory_usage_bytes);
    subject.runtime.remove_container("stats").await.unwrap();
    let usage = subject.runtime.fs_usage().await.unwrap();
    assert!(usage.capacity_bytes >= usage.used_bytes && usage.capacity_bytes > 0);
}

async fn images_come_and_go(subject: &Subject) {
    let runtime = &subject.runtime;
    let (progress, seen) = tokio::sync::watch::channel(Default::default());
    let pulled = runtime.pull_image(&subject.image, None, Some(progress)).await.unwrap();
    let seen = *seen.borrow();
    assert!(seen.done_bytes == seen.total_bytes, "{seen:?}");
    assert_eq!(pulled.repo_tags, std::slice::from_ref(&subject.image));
    assert_eq!(runtime.list_images().await.unwrap(), std::slice::from_ref(&pulled));
    assert_eq!(runtime.image_status(&pulled.id).await.unwrap().unwrap(), pulled);

    let missing = subject.image.replace(":1", ":none");
    match runtime.pull_image(&missing, None, None).await.unwrap_err() {
        Error::Registry { status: 404, message, .. } => {
            assert!(message.starts_with("MANIFEST_UNKNOWN"), "{message}");
        }
        other => panic!("{other}"),
    }
    runtime.remove_image(&subject.image).await.unwrap();
    runtime.remove_image(&subject.image).await.unwrap();
    assert_eq!(runtime.image_status(&subject.image).await.unwrap(), None);
    assert!(runtime.create_container(subject.config("gone", &["x"])).await.unwrap_err().is_not_found());
    runtime.pull_image(&subject.image, None, None).await.unwrap();
    subject.run("back", &["sleep", "1000"]).await;
    runtime.remove_container("back").await.unwrap();
}
