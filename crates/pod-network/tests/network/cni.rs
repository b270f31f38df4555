//! Networks by CNI plugins: Debian's own, and scripts that fail on purpose.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

use gantry_pod_network::{CniDirs, CniError, CniNetwork, Error, PodNetwork as _, PodRef, SandboxSpec};

use crate::support::{Node, exchange, inside, isolated, run, wait};

fn dirs(dir: &Path, configuration: &str) -> CniDirs {
    let dirs = CniDirs {
        configuration: dir.join("net.d"),
        plugins: vec![dir.join("bin"), "/usr/lib/cni".into(), "/opt/cni/bin".into()],
        state: dir.join("cni"),
    };
    fs::create_dir_all(&dirs.configuration).unwrap();
    fs::create_dir_all(dir.join("bin")).unwrap();
    fs::write(dirs.configuration.join("10-test.conflist"), configuration).unwrap();
    fs::write(dirs.configuration.join("20-later.conflist"), "{").unwrap();
    dirs
}

/// A plugin that appends what it is asked to `bin/log`.
fn script(dir: &Path, name: &str, body: &str) {
    let path = dir.join("bin").join(name);
    let log = format!("echo {name} $CNI_COMMAND $CNI_IFNAME >>{}", dir.join("bin/log").display());
    fs::write(&path, format!("#!/bin/sh\n{log}\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn log(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("bin/log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn without_a_configuration_there_is_no_cni() {
    let dir = tempfile::tempdir().unwrap();
    let mut dirs = dirs(dir.path(), "{}");
    dirs.configuration = dir.path().join("absent");
    assert!(CniNetwork::detect(dirs).unwrap().is_none());
}

#[test]
fn debians_plugins_connect_pods() {
    const BRIDGE: &str = r#"{"cniVersion": "1.0.0", "name": "debian", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {
            "type": "host-local", "dataDir": "DATA", "ranges": [[{"subnet": "10.88.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_notify": "1"}}]}"#;
    isolated(|dir| {
        let node = Node::new(dir, 1, "10.243.0.11/24");
        let dirs = dirs(dir, &BRIDGE.replace("DATA", &dir.join("host-local").display().to_string()));
        let network = CniNetwork::detect(dirs.clone()).unwrap().unwrap();
        assert_eq!(network.name(), "debian");
        let spec = SandboxSpec { network: true, ..SandboxSpec::default() };
        let pods = ["one", "two"].map(|name| {
            let pod = PodRef::new(name, "default", name);
            node.inside(|| {
                let namespace = wait(node.sandboxes.create(name, &spec)).unwrap().network().unwrap();
                let address = wait(network.setup(&pod, &namespace)).unwrap().primary().unwrap();
                // The same again is the same, also for a successor.
                let successor = CniNetwork::detect(dirs.clone()).unwrap().unwrap();
                assert_eq!(wait(successor.setup(&pod, &namespace)).unwrap().primary(), Some(address));
                assert_eq!(wait(successor.addresses(&pod)).unwrap().primary(), Some(address));
                (pod, namespace, address)
            })
        });
        assert_eq!(exchange(&pods[0].1, &pods[1].1, pods[1].2), pods[0].2);
        assert!(inside(&pods[0].1, || run("sysctl net.ipv4.conf.eth0.arp_notify")).contains("= 1"));
        node.inside(|| {
            wait(network.teardown(&pods[0].0, Some(&pods[0].1))).unwrap();
            wait(network.teardown(&pods[0].0, None)).unwrap();
            wait(network.retain(&BTreeSet::new())).unwrap();
        });
        assert!(wait(network.addresses(&pods[1].0)).is_none());
        for (_, namespace, _) in &pods {
            assert!(!inside(namespace, || run("ip -brief link")).contains("eth0"));
        }
        assert_eq!(fs::read_dir(&dirs.state).unwrap().count(), 0);
    });
}

#[test]
fn a_failed_addition_is_taken_back() {
    let chain = r#"{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "first"}, {"type": "second"}]}"#;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let network = CniNetwork::detect(dirs(dir, chain)).unwrap().unwrap();
    let pod = PodRef::new("uid", "default", "web");
    let setup = || wait(network.setup(&pod, dir)).unwrap_err();
    assert!(matches!(setup(), Error::Cni(CniError::NotInstalled { plugin, .. }) if plugin == "first"));

    script(dir, "first", r#"[ $CNI_COMMAND = DEL ] || echo '{"ips": [{"address": "10.0.0.2/24"}]}'"#);
    script(
        dir,
        "second",
        r#"[ $CNI_COMMAND = DEL ] || { echo '{"code": 11, "msg": "try later"}'; exit 1; }"#,
    );
    let error = setup().to_string();
    assert!(error.contains("second") && error.contains("try later"), "{error}");
    // The attempt before could not even be taken back, so that comes first.
    let deleted = ["second DEL eth0", "first DEL eth0"];
    let added = ["first ADD eth0", "second ADD eth0"];
    let calls = [deleted, added, deleted].concat();
    assert_eq!(log(dir), calls);
    assert!(wait(network.addresses(&pod)).is_none());

    // The second plugin gets the first one's result and passes it on.
    script(dir, "second", "[ $CNI_COMMAND = DEL ] || sed 's/.*\"prevResult\":\\({.*}\\),\"type.*/\\1/'");
    assert_eq!(wait(network.setup(&pod, dir)).unwrap().primary(), Some("10.0.0.2".parse().unwrap()));
    script(dir, "second", "echo nonsense; exit 3");
    // A failure keeps the record, so that taking down is tried again.
    assert!(wait(network.teardown(&pod, None)).is_err());
    script(dir, "second", "exit 0");
    wait(network.teardown(&pod, None)).unwrap();
    assert_eq!(fs::read_dir(dir.join("cni")).unwrap().count(), 0);
}
