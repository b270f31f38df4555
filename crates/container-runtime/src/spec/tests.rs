use std::collections::BTreeSet;

use super::*;
use crate::{Capabilities, Mount, MountSource, Namespace, Propagation, Security};

fn config() -> ContainerConfig {
    ContainerConfig {
        id: "c1".into(),
        image: "img".into(),
        cgroup_parent: "/kubepods/pod1".into(),
        ..ContainerConfig::default()
    }
}

fn image() -> ImageConfig {
    ImageConfig {
        entrypoint: vec!["/entry".into()],
        cmd: vec!["arg".into()],
        env: vec!["A=image".into(), "PATH=/bin".into()],
        ..ImageConfig::default()
    }
}

fn spec(config: &ContainerConfig) -> Spec {
    build(config, &image(), &Credentials::default(), &Bounds::unlimited()).unwrap()
}

fn args(command: &[&str], args: &[&str]) -> Vec<String> {
    let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let config = ContainerConfig { command: own(command), args: own(args), ..config() };
    spec(&config).process().as_ref().unwrap().args().clone().unwrap()
}

#[test]
fn commands_and_arguments_replace_the_images() {
    assert_eq!(args(&[], &[]), ["/entry", "arg"]);
    assert_eq!(args(&[], &["x"]), ["/entry", "x"]);
    assert_eq!(args(&["cmd"], &[]), ["cmd"]);
    assert_eq!(args(&["cmd"], &["x"]), ["cmd", "x"]);
    let error = arguments(&config(), &ImageConfig::default()).unwrap_err().to_string();
    assert_eq!(error, "command: \"img\" names no program, and neither does the configuration: set a command");
}

#[test]
fn later_environment_entries_win() {
    let env = [("A", "pod"), ("B", "1"), ("B", "2")].map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
    let config = ContainerConfig { env, hostname: Some("h".into()), ..config() };
    let env = spec(&config).process().as_ref().unwrap().env().clone().unwrap();
    assert_eq!(env, ["PATH=/bin", "HOSTNAME=h", "A=pod", "B=2"]);
}

fn names(security: Security, bounds: &Bounds) -> BTreeSet<String> {
    linux::capabilities(&security, bounds).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn capabilities_are_dropped_then_added_and_capped() {
    let capabilities = Capabilities { add: vec!["CAP_NET_ADMIN".into()], drop: vec!["all".into()] };
    let security = Security { capabilities, ..Security::default() };
    assert_eq!(names(security, &Bounds::unlimited()), BTreeSet::from(["NET_ADMIN".to_owned()]));
    let mut bounds = Bounds::unlimited();
    bounds.capabilities.remove("SYS_RESOURCE");
    let all = names(Security { privileged: true, ..Security::default() }, &bounds);
    assert_eq!(all.len(), 40);
    assert!(!all.contains("SYS_RESOURCE"));
    let capabilities = Capabilities { add: vec!["FLY".into()], drop: vec![] };
    let error = linux::capabilities(&Security { capabilities, ..Security::default() }, &bounds).unwrap_err();
    assert_eq!(
        error.to_string(),
        "capabilities: \"FLY\" is not a capability: it must be ALL or like NET_ADMIN"
    );
}

#[test]
fn limits_are_cut_down_to_the_bounds() {
    let mut config = config();
    config.resources.oom_score_adj = Some(-997);
    config.rlimits = vec![Rlimit { kind: "RLIMIT_NOFILE".into(), soft: 1024, hard: 1 << 20 }];
    let bounds = Bounds { min_oom_score_adj: 0, max_open_files: Some(20000), ..Bounds::unlimited() };
    let spec = build(&config, &image(), &Credentials::default(), &bounds).unwrap();
    let process = spec.process().as_ref().unwrap();
    assert_eq!(process.oom_score_adj(), Some(0));
    let limit = &process.rlimits().as_ref().unwrap()[0];
    assert_eq!((limit.soft(), limit.hard()), (1024, 20000));
}

#[test]
fn a_mount_replaces_the_default_at_its_place() {
    let mut config = config();
    config.mounts = vec![Mount {
        source: MountSource::Host("/run/shm".into()),
        destination: "/dev/shm".into(),
        read_only: false,
        propagation: Propagation::HostToContainer,
    }];
    let spec = spec(&config);
    let mounts = spec.mounts().as_ref().unwrap();
    let shm: Vec<_> = mounts.iter().filter(|m| m.destination().as_os_str() == "/dev/shm").collect();
    assert_eq!(shm.len(), 1);
    assert_eq!(shm[0].options().as_ref().unwrap(), &["rbind", "rslave", "rw"]);
    assert_eq!(spec.linux().as_ref().unwrap().rootfs_propagation().as_deref(), Some("rslave"));
    config.mounts[0].destination = "relative".into();
    assert!(mounts::build(&config).is_err());
}

#[test]
fn pinned_namespaces_are_joined_and_keep_their_host_name() {
    let mut config = config();
    config.hostname = Some("pod".into());
    config.namespaces.network = Namespace::Path("/run/netns/p".into());
    config.namespaces.uts = Namespace::Path("/run/utsns/p".into());
    config.namespaces.pid = Namespace::Host;
    let spec = spec(&config);
    assert_eq!(spec.hostname(), &None);
    let json = serde_json::to_value(spec.linux()).unwrap();
    assert_eq!(
        json["namespaces"],
        serde_json::json!([
            {"type": "network", "path": "/run/netns/p"},
            {"type": "ipc"},
            {"type": "uts", "path": "/run/utsns/p"},
            {"type": "mount"},
        ])
    );
    assert_eq!(json["cgroupsPath"], "/kubepods/pod1/c1");
}

#[test]
fn an_exec_is_the_containers_process_with_another_command() {
    let spec = spec(&config());
    let exec_config = ExecConfig {
        argv: vec!["ls".into()],
        env: vec![("A".into(), "exec".into())],
        tty: true,
        ..ExecConfig::default()
    };
    let process = exec(spec.process().as_ref().unwrap(), &exec_config);
    assert_eq!(process.args().as_ref().unwrap(), &["ls"]);
    assert_eq!(process.env().as_ref().unwrap(), &["PATH=/bin", "A=exec", "TERM=xterm"]);
    assert_eq!(process.terminal(), Some(true));
}
