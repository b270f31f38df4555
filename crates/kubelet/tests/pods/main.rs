//! A whole kubelet over the fake runtime: what happens to pods, as the API shows it.

#![allow(clippy::unwrap_used, reason = "a panic in a helper is the test's report")]

mod cni;
mod node;
mod resize;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_container_runtime::fake::{Behaviour, Exec, Operation};
use gantry_container_runtime::{ContainerConfig, Error, ImageConfig, Runtime};
use node::{Node, condition, waiting};
use std::sync::Arc;

const WEB: &str = r#"{"containers":[{"name":"web","image":"web:1"}],"terminationGracePeriodSeconds":5}"#;

#[tokio::test]
async fn a_pod_runs_and_says_so() {
    let node = Node::start();
    node.create("a", WEB);
    let status = node.until_running("a").await;
    assert_eq!((status.pod_ip.as_str(), status.host_ip.as_str()), ("10.0.0.2", "10.1.0.1"));
    assert_eq!(status.qos_class, "BestEffort");
    for name in ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"] {
        assert_eq!(condition(&status, name), "True", "{name}");
    }
    let container = &status.container_statuses[0];
    assert_eq!(container.container_id, format!("containerd://{}", node.id("a", "web", 0).await));
    assert!(container.ready && container.started == Some(true) && container.restart_count == 0);
    let writes = node.cluster.status_writes();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(node.cluster.status_writes(), writes, "an unchanged status is not written again");
}

#[tokio::test]
async fn deletion_ends_the_container_and_leaves_nothing() {
    let node = Node::start();
    node.create("a", WEB);
    node.until_running("a").await;
    node.cluster.delete("a", 5);
    node.until_gone("a").await;
    assert!(node.cluster.events().contains(&"Killing: Stopping container web".to_owned()));
}

#[tokio::test]
async fn who_ignores_the_signal_is_killed_at_the_deadline() {
    let node = Node::start();
    node.runtime.on_start(|_| Behaviour::IgnoreTerm);
    node.create("a", WEB);
    node.until_running("a").await;
    node.cluster.delete("a", 1);
    node.until_gone("a").await;
}

#[tokio::test]
async fn a_crash_is_followed_by_a_restart_and_then_by_back_off() {
    let node = Node::start();
    node.create("a", WEB);
    node.until_running("a").await;
    node.runtime.exit(&node.id("a", "web", 0).await, 3);
    let status =
        node.until("a", |s| s.container_statuses.iter().any(|c| c.restart_count == 1 && c.ready)).await;
    let last = status.container_statuses[0].last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_str()), (3, "Error"));
    node.runtime.oom(&node.id("a", "web", 1).await);
    let status =
        node.until("a", |s| s.container_statuses.iter().any(|c| waiting(c) == "CrashLoopBackOff")).await;
    let last = status.container_statuses[0].last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_str()), (137, "OOMKilled"));
    assert_eq!(status.phase, "Running");
    assert_eq!(condition(&status, "Ready"), "False");
}

#[tokio::test]
async fn a_pod_that_is_done_keeps_its_status_and_gives_back_the_rest() {
    let node = Node::start();
    node.runtime.on_start(|config| Behaviour::Exit(i32::from(config.args == ["fail"])));
    node.create("good", &WEB.replacen('{', r#"{"restartPolicy":"Never","#, 1));
    let bad = WEB
        .replacen('{', r#"{"restartPolicy":"Never","#, 1)
        .replace(r#""web:1""#, r#""web:1","args":["fail"]"#);
    node.create("bad", &bad);
    let status = node.until("good", |status| status.phase == "Succeeded").await;
    assert_eq!(condition(&status, "Initialized"), "True");
    assert_eq!(condition(&status, "Ready"), "False");
    node.until("bad", |status| status.phase == "Failed").await;
    node.cluster.delete("good", 0);
    node.cluster.delete("bad", 0);
    node.until_gone("good").await;
    node.until_gone("bad").await;
}

#[tokio::test]
async fn a_kubelet_that_was_killed_finds_everything_again() {
    let mut node = Node::start();
    for name in ["kept", "ended", "deleted", "removed"] {
        node.create(name, WEB);
        node.until_running(name).await;
    }
    let before = node.until_running("kept").await;
    node.kill_kubelet().await;
    let starts = node.runtime.calls(Operation::Start);
    node.runtime.exit(&node.id("ended", "web", 0).await, 1);
    node.cluster.delete("deleted", 5);
    node.cluster.remove("removed");
    node.start_kubelet();
    node.until_gone("deleted").await;
    node.until_gone("removed").await;
    node.until("ended", |s| s.container_statuses.iter().any(|c| c.restart_count == 1 && c.ready)).await;
    let after = node.until_running("kept").await;
    assert_eq!(before.container_statuses, after.container_statuses);
    assert_eq!(before.pod_ips, after.pod_ips);
    assert_eq!(node.runtime.calls(Operation::Start), starts + 1, "only what had ended was started");
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_begun_anew_as_the_same_attempt() {
    let mut node = Node::start();
    node.create("whole", WEB);
    node.until_running("whole").await;
    let whole = node.runtime.config(&node.id("whole", "web", 0).await).unwrap();
    node.kill_kubelet().await;
    // As far as a kubelet got that was killed between creating and starting.
    let labels = whole.labels.into_iter().map(|(key, value)| (key, value.replace("whole", "cut"))).collect();
    let cut = ContainerConfig { id: "cut-off".into(), labels, image: whole.image, ..Default::default() };
    node.runtime.create_container(cut).await.unwrap();
    node.create("cut", WEB);
    node.start_kubelet();
    let status = node.until_running("cut").await;
    assert_eq!(status.container_statuses[0].restart_count, 0);
    assert!(!status.container_statuses[0].container_id.ends_with("cut-off"));
    assert!(node.runtime.container_status("cut-off").await.unwrap_err().is_not_found());
    assert_eq!(node.runtime.list_containers().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_start_that_the_runtime_loses_leaves_no_second_container() {
    let node = Node::start();
    let lost = Error::Unavailable { call: "start task", reason: "connection reset".into() };
    node.runtime.fail_next(Operation::Start, lost);
    node.create("a", WEB);
    let status = node.until_running("a").await;
    assert_eq!(status.container_statuses[0].restart_count, 0);
    assert_eq!(node.runtime.list_containers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_explained() {
    let node = Node::start();
    node.runtime.fail_next(
        Operation::Pull,
        Error::Registry {
            reference: "none:1".into(),
            registry: "r".into(),
            status: 404,
            message: "MANIFEST_UNKNOWN".into(),
        },
    );
    node.create("a", r#"{"containers":[{"name":"web","image":"none:1"}]}"#);
    node.until("a", |s| s.container_statuses.iter().any(|c| waiting(c) == "ErrImagePull")).await;
    let status =
        node.until("a", |s| s.container_statuses.iter().any(|c| waiting(c) == "ImagePullBackOff")).await;
    assert_eq!(status.phase, "Pending");
    let told = node.cluster.events();
    assert!(told.iter().any(|e| e.starts_with("Failed: ") && e.contains("MANIFEST_UNKNOWN")), "{told:?}");
    node.cluster.delete("a", 0);
    node.until_gone("a").await;
}

#[tokio::test]
async fn an_image_is_pulled_where_it_is_missing() {
    let node = Node::start();
    node.runtime.add_remote_image("other:1", ImageConfig::default());
    node.create("a", r#"{"containers":[{"name":"web","image":"other:1"}]}"#);
    node.until_running("a").await;
    assert_eq!(node.runtime.calls(Operation::Pull), 1);
    node.create("b", r#"{"containers":[{"name":"web","image":"other:1"}]}"#);
    node.until_running("b").await;
    assert_eq!(node.runtime.calls(Operation::Pull), 1);
}

#[tokio::test]
async fn a_missing_config_map_is_waited_for_and_a_change_is_shown() {
    let node = Node::start();
    node.create(
        "a",
        r#"{"containers":[{"name":"web","image":"web:1","env":[{"name":"K","valueFrom":{"configMapKeyRef":
            {"name":"m","key":"k"}}}],"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
            "volumes":[{"name":"v","configMap":{"name":"m"}}]}"#,
    );
    node.until("a", |s| condition(s, "PodReadyToStartContainers") == "True").await;
    assert_eq!(node.runtime.calls(Operation::Create), 0);
    node.cluster.set_config_map("m", &[("k", "1")]);
    node.until_running("a").await;
    let config = node.runtime.config(&node.id("a", "web", 0).await).unwrap();
    assert!(config.env.contains(&("K".into(), "1".into())));
    let file = node.paths().pod("uid-a", "default", "a").volume("v").join("k");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "1");
    node.cluster.set_config_map("m", &[("k", "2")]);
    for _ in 0..500 {
        if std::fs::read_to_string(&file).is_ok_and(|text| text == "2") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the change never reached the file");
}

#[tokio::test]
async fn a_token_is_shown_in_memory_and_asked_for_once() {
    let node = Node::start();
    let pod = |account: &str| {
        format!(
            r#"{{"serviceAccountName":"{account}","securityContext":{{"fsGroup":{}}},"containers":[{{"name":"web",
                "image":"web:1","volumeMounts":[{{"name":"v","mountPath":"/v"}}]}}],"volumes":[{{"name":"v",
                "projected":{{"sources":[{{"serviceAccountToken":{{"path":"token","expirationSeconds":3607}}}},
                {{"downwardAPI":{{"items":[{{"path":"labels","fieldRef":{{"fieldPath":"metadata.labels"}}}}]}}}}]}}}}]}}"#,
            std::fs::metadata("/proc/self").unwrap().gid()
        )
    };
    node.create("a", &pod("robot"));
    node.until_running("a").await;
    let dir = node.paths().pod("uid-a", "default", "a").secret("v");
    let token = || std::fs::read_to_string(dir.join("token")).unwrap();
    assert_eq!(token(), "default/robot for a #1");
    let mode = std::fs::metadata(dir.join("token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "the pod's group may read it, nobody else");
    let mut changed = (*node.cluster.pod("a").unwrap()).clone();
    changed.metadata.get_or_insert_default().labels.insert("x".into(), "y".into());
    node.cluster.apply(changed);
    let labels = dir.join("labels");
    let shown = async {
        while std::fs::read_to_string(&labels).unwrap() != "x=\"y\"" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), shown).await.unwrap();
    assert_eq!(token(), "default/robot for a #1", "a token that is good is kept");

    node.create("b", &pod("missing"));
    let told = async {
        while !node
            .cluster
            .events()
            .iter()
            .any(|event| event.starts_with("FailedMount: failed to fetch token"))
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told).await.unwrap();
}

#[tokio::test]
async fn readiness_follows_the_probe_and_liveness_restarts() {
    let node = Node::start();
    let (ready, alive) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let (r, a) = (Arc::clone(&ready), Arc::clone(&alive));
    node.runtime.on_exec(move |_, config| {
        let good = if config.argv == ["ready"] { r.load(Ordering::SeqCst) } else { a.load(Ordering::SeqCst) };
        Exec::exit(i32::from(!good))
    });
    node.create(
        "a",
        r#"{"terminationGracePeriodSeconds":1,"containers":[{"name":"web","image":"web:1",
            "readinessProbe":{"exec":{"command":["ready"]},"periodSeconds":1},
            "livenessProbe":{"exec":{"command":["alive"]},"periodSeconds":1,"failureThreshold":1}}]}"#,
    );
    let status = node.until_running("a").await;
    assert_eq!(condition(&status, "Ready"), "False");
    ready.store(true, Ordering::SeqCst);
    node.until("a", |status| condition(status, "Ready") == "True").await;
    alive.store(false, Ordering::SeqCst);
    node.until("a", |s| s.container_statuses.iter().any(|c| c.restart_count == 1)).await;
    alive.store(true, Ordering::SeqCst);
    let told = node.cluster.events();
    assert!(told.contains(&"Killing: Container web failed liveness probe, will be restarted".to_owned()));
}

#[tokio::test]
async fn init_containers_come_first() {
    let node = Node::start();
    node.runtime.on_start(|config| if config.args == ["init"] { Behaviour::Exit(0) } else { Behaviour::Run });
    node.create(
        "a",
        r#"{"initContainers":[{"name":"first","image":"web:1","args":["init"]}],
            "containers":[{"name":"web","image":"web:1"}]}"#,
    );
    let status = node.until_running("a").await;
    let init = &status.init_container_statuses[0];
    assert!(init.ready && init.state.as_ref().unwrap().terminated.as_ref().unwrap().reason == "Completed");
}

#[tokio::test]
async fn what_cannot_be_started_backs_off_with_its_reason() {
    let node = Node::start();
    let broken = || Error::Runtime { call: "start", reason: "exec: \"nope\": not found".into() };
    node.runtime.fail_next(Operation::Start, broken());
    node.runtime.fail_next(Operation::Start, broken());
    node.create("a", WEB);
    let status =
        node.until("a", |s| s.container_statuses.iter().any(|c| waiting(c) == "CrashLoopBackOff")).await;
    let last = status.container_statuses[0].last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_str()), (128, "StartError"));
    assert!(last.message.contains("not found"));
    assert!(node.runtime.list_containers().await.unwrap().is_empty(), "nothing half-made is left");
}

#[tokio::test]
async fn unsupported_volumes_are_said_to_be_so() {
    let node = Node::start();
    node.create(
        "a",
        r#"{"containers":[{"name":"web","image":"web:1"}],
            "volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"x"}}]}"#,
    );
    for _ in 0..1000 {
        if node.cluster.events().iter().any(|e| e.starts_with("FailedMount: ") && e.contains("not supported"))
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{:?}", node.cluster.events());
}
