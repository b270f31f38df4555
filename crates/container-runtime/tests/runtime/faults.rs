//! What survives which failure.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use gantry_container_runtime::{ContainerState, Error, RuntimeEvent};

use crate::contract::{Subject, next_exit};
use crate::support::{LIMIT, Node, until};

async fn subject(node: &Node) -> Subject {
    let runtime = node.ready().await;
    Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_outlive_containerd() {
    let mut node = Node::start().await;
    let subject = subject(&node).await;
    let pid = subject.run("stays", &["sleep", "1000"]).await;
    subject.run("ends", &["sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 5"]).await;
    let before = subject.state("stays").await;
    let mut events = subject.runtime.events();
    node.kill_containerd();
    // One ends while nobody watches.
    std::fs::write(format!("/proc/{}/root/tmp/end", pid_of(&subject, &node, "ends")), "").unwrap();
    let gone = subject.runtime.list_containers().await.unwrap_err();
    assert!(gone.is_transient(), "{gone}");
    node.start_containerd();
    until("containerd is back", || async { subject.runtime.list_containers().await.is_ok() }).await;
    until("the end is known", || async { subject.state("ends").await.is_finished() }).await;
    assert!(matches!(
        subject.state("ends").await,
        ContainerState::Exited { exit_code: 5, oom_killed: false, .. }
    ));
    assert_eq!(subject.state("stays").await, before);
    assert!(matches!(before, ContainerState::Running { pid: same, .. } if same == pid));

    // Whoever follows events is told to look again, and is told of what happens from then on.
    events.next().await;
    let resync = async { while events.next().await != Some(RuntimeEvent::Resync) {} };
    tokio::time::timeout(LIMIT, resync).await.unwrap();
    subject.runtime.kill("stays", 9, true).await.unwrap();
    assert_eq!(next_exit(&mut events, "stays").await, (137, false));
    for id in ["stays", "ends"] {
        subject.runtime.remove_container(id).await.unwrap();
    }
}

/// A process of a container, found without containerd's help.
fn pid_of(_subject: &Subject, node: &Node, id: &str) -> i32 {
    let mark = format!("{}/{id}", node.cgroup);
    let pids = crate::support::processes(&[mark]);
    pids.first().expect("the container runs").as_raw()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_kubelet_finds_everything() {
    let node = Node::start().await;
    let first = subject(&node).await;
    first.run("running", &["sleep", "1000"]).await;
    first.run("exited", &["sh", "-c", "exit 4"]).await;
    first.runtime.create_container(first.config("created", &["sleep", "1000"])).await.unwrap();
    until("it has ended", || async { first.state("exited").await.is_finished() }).await;
    let mut before = first.runtime.list_containers().await.unwrap();
    drop(first);
    let second = subject(&node).await;
    let mut after = second.runtime.list_containers().await.unwrap();
    before.sort_by(|a, b| a.id.cmp(&b.id));
    after.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(before, after);
    // Whether a start of it is under way nobody knows, so what was only created is not started.
    let refused = second.runtime.start_container("created").await.unwrap_err();
    assert!(matches!(refused, Error::WrongState { .. }), "{refused}");
    second.runtime.abandon_container("created");
    until("it is gone", || async { second.runtime.container_status("created").await.is_err() }).await;
    for container in after {
        second.runtime.remove_container(&container.id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_cut_off_leaves_nothing() {
    let node = Node::start().await;
    let first = subject(&node).await;
    let mut running = BTreeSet::new();
    for i in 0..24 {
        let id = format!("cut{i}");
        first.runtime.create_container(first.config(&id, &["sleep", "1000"])).await.unwrap();
        // From before containerd has taken the request to after its process runs.
        let start = first.runtime.start_container(&id);
        if let Ok(started) = tokio::time::timeout(Duration::from_millis(4 * i), start).await {
            started.unwrap();
            running.insert(id);
        }
    }
    drop(first);
    let second = subject(&node).await;
    let mut events = second.runtime.events();
    for container in second.runtime.list_containers().await.unwrap() {
        if container.state == ContainerState::Created {
            second.runtime.abandon_container(&container.id);
        } else {
            running.insert(container.id);
        }
    }
    until("only what runs is left", || async {
        let left = second.runtime.list_containers().await.unwrap();
        left.iter().all(|container| running.contains(&container.id))
    })
    .await;
    let of_all = |mark: fn(&str, u32) -> String| {
        let marks: Vec<String> = (0..24).map(|i| mark(&node.cgroup, i)).collect();
        crate::support::processes(&marks).len()
    };
    assert_eq!(of_all(|cgroup, i| format!("{cgroup}/cut{i}")), running.len(), "one process each");
    assert_eq!(of_all(|_, i| format!("-id\0cut{i}\0")), running.len(), "one shim each");
    for id in &running {
        assert!(second.state(id).await.is_running(), "{id}");
        second.runtime.kill(id, 9, true).await.unwrap();
    }
    // No end is told but of those that ran.
    let mut told = BTreeSet::new();
    let ends = async {
        while told.len() < running.len() {
            if let Some(RuntimeEvent::Exit { id, .. }) = events.next().await {
                assert!(running.contains(&id), "{id} never ran");
                told.insert(id);
            }
        }
    };
    tokio::time::timeout(LIMIT, ends).await.unwrap();
    for id in running {
        second.runtime.remove_container(&id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_that_takes_too_much_memory_is_killed_and_said_to_be() {
    let node = Node::start().await;
    let subject = subject(&node).await;
    let mut config = subject.config("greedy", &["sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done"]);
    config.resources.memory_limit_bytes = Some(16 << 20);
    let mut events = subject.runtime.events();
    subject.runtime.create_container(config).await.unwrap();
    subject.runtime.start_container("greedy").await.unwrap();
    assert_eq!(next_exit(&mut events, "greedy").await, (137, true));
    let killed = |state| matches!(state, ContainerState::Exited { exit_code: 137, oom_killed: true, .. });
    assert!(killed(subject.state("greedy").await));
    // Also after its cgroup is gone.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(killed(subject.state("greedy").await));
    subject.runtime.remove_container("greedy").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_start_made_can_be_removed() {
    let node = Node::start().await;
    let subject = subject(&node).await;
    subject.runtime.create_container(subject.config("bad", &["/no/such/program"])).await.unwrap();
    let error = subject.runtime.start_container("bad").await.unwrap_err().to_string();
    assert!(error.contains("/no/such/program"), "{error}");
    subject.runtime.remove_container("bad").await.unwrap();
    assert!(subject.runtime.list_containers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_start_side_by_side() {
    let node = Node::start().await;
    let subject = std::sync::Arc::new(subject(&node).await);
    let mut events = subject.runtime.events();
    let starts: Vec<_> = (0..12)
        .map(|i| {
            let subject = std::sync::Arc::clone(&subject);
            tokio::spawn(
                async move { subject.run(&format!("n{i}"), &["sh", "-c", &format!("exit {i}")]).await },
            )
        })
        .collect();
    for start in starts {
        start.await.unwrap();
    }
    let mut codes = std::collections::BTreeMap::new();
    let collect = async {
        while codes.len() < 12 {
            if let Some(RuntimeEvent::Exit { id, exit_code, .. }) = events.next().await {
                codes.insert(id, exit_code);
            }
        }
    };
    tokio::time::timeout(LIMIT, collect).await.unwrap();
    for i in 0..12 {
        assert_eq!(codes[&format!("n{i}")], i);
        subject.runtime.remove_container(&format!("n{i}")).await.unwrap();
    }
}
