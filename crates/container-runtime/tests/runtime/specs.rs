//! What containers see of their configuration.

use std::time::Duration;

use gantry_container_runtime::{
    Capabilities, ContainerConfig, ExecConfig, Mount, MountSource, Propagation, Resources, Rlimit,
    TerminalSize, User,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::contract::Subject;
use crate::support::{LIMIT, Node};

async fn output(subject: &Subject, id: &str, script: &str) -> String {
    let argv = ["sh", "-c", script].map(str::to_owned);
    let output = subject.runtime.exec_sync(id, &argv, LIMIT, 1 << 16).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.exit_code, 0, "{script}: {out}{err}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_sees_what_it_was_given() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let subject = Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() };
    let shared = node.directory.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("file"), "from the host").unwrap();
    let bind = |destination: &str, read_only| Mount {
        source: MountSource::Host(shared.clone()),
        destination: destination.into(),
        read_only,
        propagation: Propagation::Private,
    };
    let mut config = ContainerConfig {
        env: vec![("GREETING".into(), "hello world".into())],
        working_dir: Some("/data".into()),
        user: User { uid: Some(101), gid: None, supplemental_groups: vec![2000] },
        mounts: vec![
            bind("/data", false),
            bind("/ro", true),
            Mount { source: MountSource::Tmpfs { size_bytes: Some(1 << 20) }, ..bind("/scratch", false) },
        ],
        hostname: Some("pod-1".into()),
        rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".into(), soft: 777, hard: 1 << 30 }],
        ..subject.config("sees", &["sleep", "1000"])
    };
    config.security.read_only_root = true;
    config.security.no_new_privileges = true;
    config.resources.oom_score_adj = Some(-900);
    config.resources.cpu_shares = Some(512);
    config.resources.pids_limit = Some(50);
    config.sysctls.insert("kernel.msgmax".into(), "4096".into());
    subject.runtime.create_container(config).await.unwrap();
    subject.runtime.start_container("sees").await.unwrap();

    assert_eq!(output(&subject, "sees", "echo $GREETING; pwd").await, "hello world\n/data\n");
    assert_eq!(output(&subject, "sees", "cat /ro/file").await, "from the host");
    assert_eq!(output(&subject, "sees", "hostname").await, "pod-1\n");
    assert_eq!(output(&subject, "sees", "id -u; id -g; id -G").await, "101\n102\n102 103 2000\n");
    // Of the container's own process: an exec's limits are set by runc beside the start of its Go runtime, which may
    // raise them again.
    let limits = output(&subject, "sees", "cat /proc/1/limits").await;
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("777"), "{files}");
    assert_eq!(output(&subject, "sees", "cat /proc/sys/kernel/msgmax").await, "4096\n");
    assert_eq!(output(&subject, "sees", "echo x > /scratch/x && cat /scratch/x").await, "x\n");
    for refused in ["echo x > /x", "echo x > /ro/x"] {
        let argv = ["sh", "-c", refused].map(str::to_owned);
        assert_ne!(
            subject.runtime.exec_sync("sees", &argv, LIMIT, 100).await.unwrap().exit_code,
            0,
            "{refused}"
        );
    }
    let status = output(&subject, "sees", "cat /proc/self/status").await;
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let cgroup = |controller: &str, file: &str| {
        let path = format!("/sys/fs/cgroup/{controller}{}/sees/{file}", subject.cgroup);
        std::fs::read_to_string(&path).unwrap().trim().to_owned()
    };
    assert_eq!((cgroup("cpu", "cpu.shares"), cgroup("pids", "pids.max")), ("512".into(), "50".into()));
    subject.runtime.remove_container("sees").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_change_while_a_container_runs() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let subject = Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() };
    let mut config = subject.config("resized", &["sleep", "1000"]);
    config.resources.cpu_shares = Some(512);
    config.resources.memory_limit_bytes = Some(64 << 20);
    subject.runtime.create_container(config).await.unwrap();
    let before = subject.runtime.start_container("resized").await.unwrap();
    let limits = || {
        let read = |controller: &str, file: &str| {
            let path = format!("/sys/fs/cgroup/{controller}{}/resized/{file}", subject.cgroup);
            std::fs::read_to_string(&path).unwrap().trim().to_owned()
        };
        [read("cpu", "cpu.shares"), read("cpu", "cpu.cfs_quota_us"), read("memory", "memory.limit_in_bytes")]
    };
    assert_eq!(limits(), ["512", "-1", "67108864"]);
    for (shares, quota, memory) in [(1024, 50_000, 128_i64 << 20), (256, 20_000, 32 << 20)] {
        let wanted = Resources {
            cpu_shares: Some(shares),
            cpu_quota_us: Some(quota),
            cpu_period_us: Some(100_000),
            memory_limit_bytes: Some(memory),
            ..Resources::default()
        };
        subject.runtime.update_resources("resized", &wanted).await.unwrap();
        assert_eq!(limits(), [shares.to_string(), quota.to_string(), memory.to_string()]);
    }
    let shares = Resources { cpu_shares: Some(100), ..Resources::default() };
    subject.runtime.update_resources("resized", &shares).await.unwrap();
    assert_eq!(limits(), ["100", "20000", "33554432"], "what is absent stays");
    let after = subject.runtime.container_status("resized").await.unwrap();
    assert_eq!(after.state, before.state, "the process is the same");
    subject.runtime.remove_container("resized").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privileges_are_as_wide_as_asked_for() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let subject = Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() };
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own.lines().find(|line| line.starts_with("CapBnd")).unwrap().to_owned();

    let mut config = subject.config("wide", &["sleep", "1000"]);
    config.security.privileged = true;
    subject.runtime.create_container(config).await.unwrap();
    subject.runtime.start_container("wide").await.unwrap();
    let status = output(&subject, "wide", "cat /proc/1/status").await;
    assert!(status.contains(&bounding), "{status}");
    assert_eq!(output(&subject, "wide", "[ -w /proc/sys ] && [ -e /dev/kmsg ] && echo yes").await, "yes\n");

    let mut config = subject.config("narrow", &["sleep", "1000"]);
    config.security.capabilities = Capabilities { add: vec!["CHOWN".into()], drop: vec!["ALL".into()] };
    subject.runtime.create_container(config).await.unwrap();
    subject.runtime.start_container("narrow").await.unwrap();
    let status = output(&subject, "narrow", "cat /proc/1/status").await;
    assert!(status.contains("CapBnd:\t0000000000000001"), "{status}");
    for id in ["wide", "narrow"] {
        subject.runtime.remove_container(id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_can_be_resized_and_typed_into() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let subject = Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() };
    subject.run("term", &["sleep", "1000"]).await;
    let config = ExecConfig { tty: true, stdin: true, ..ExecConfig::new(["sh"]) };
    let mut session = subject.runtime.exec("term", config).await.unwrap();
    session.control.resize(TerminalSize { width: 123, height: 45 }).await.unwrap();
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"stty size; exit 9\n").await.unwrap();
    let mut said = String::new();
    let reading = session.stdout.read_to_string(&mut said);
    tokio::time::timeout(LIMIT, reading).await.unwrap().unwrap();
    assert!(said.contains("45 123"), "{said}");
    assert_eq!(session.control.wait().await.unwrap(), 9);

    let config =
        ExecConfig { timeout: Some(Duration::from_millis(200)), ..ExecConfig::new(["sleep", "1000"]) };
    let session = subject.runtime.exec("term", config).await.unwrap();
    assert_eq!(session.control.wait().await.unwrap(), 137);
    subject.runtime.remove_container("term").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_containers_own_input_can_be_opened_again_and_again() {
    let node = Node::start().await;
    let runtime = node.ready().await;
    let subject = Subject { runtime, image: node.image.clone(), cgroup: node.cgroup.clone() };
    let config =
        ContainerConfig { stdin: true, ..subject.config("asks", &["sh", "-c", "read a; read b; exit $a$b"]) };
    subject.runtime.create_container(config).await.unwrap();
    let mut events = subject.runtime.events();
    subject.runtime.start_container("asks").await.unwrap();
    for text in ["4\n", "2\n"] {
        let mut stdin = subject.runtime.open_stdin("asks").await.unwrap();
        stdin.write_all(text.as_bytes()).await.unwrap();
    }
    assert_eq!(crate::contract::next_exit(&mut events, "asks").await, (42, false));
    subject.runtime.remove_container("asks").await.unwrap();
}
