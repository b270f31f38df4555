//! Pods that CNI plugins connect: shell scripts that say what they were asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use gantry_pod_network::{CniDirs, CniNetwork, PodNetwork};

use crate::WEB;
use crate::node::Node;

const CONFIGURATION: &str = r#"{"cniVersion": "1.0.0", "name": "test", "plugins": [{"type": "plugin"}]}"#;
const CONNECT: &str =
    r#"[ $CNI_COMMAND = DEL ] || echo '{"cniVersion":"1.0.0","ips":[{"address":"10.9.0.2/24"}]}'"#;
const REFUSE: &str = r#"[ $CNI_COMMAND = DEL ] || { echo '{"code":11,"msg":"no address left"}'; exit 1; }"#;

/// The network that the node's configuration describes.
fn detect(dir: &Path) -> Option<Arc<dyn PodNetwork>> {
    let dirs =
        CniDirs { configuration: dir.join("net.d"), plugins: vec![dir.join("bin")], state: dir.join("cni") };
    for dir in [&dirs.configuration, &dirs.plugins[0]] {
        fs::create_dir_all(dir).unwrap();
    }
    fs::write(dirs.configuration.join("10-test.conflist"), CONFIGURATION).unwrap();
    let network = CniNetwork::detect(dirs).unwrap().unwrap();
    Some(Arc::new(network))
}

/// Makes the plugin do `body` after it has written down what it is asked. It is put in place at once: it may run now.
fn plugin(dir: &Path, body: &str) {
    let (path, new) = (dir.join("bin/plugin"), dir.join("bin/new"));
    let log = format!("echo $CNI_COMMAND $CNI_NETNS $CNI_ARGS >>{}", dir.join("log").display());
    fs::write(&new, format!("#!/bin/sh\n{log}\n{body}\n")).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&new, &path).unwrap();
}

#[tokio::test]
async fn plugins_connect_pods_and_are_heard_when_they_cannot() {
    let node = Node::start_with(detect);
    let dir = node.dir.path();
    plugin(dir, REFUSE);
    node.create("a", WEB);
    let refused =
        |event: &String| event.starts_with("FailedCreatePodSandBox: ") && event.contains("no address left");
    node.until("a", |_| node.cluster.events().iter().any(refused)).await;
    assert_eq!(node.until("a", |_| true).await.pod_ip, "");

    // It is tried again by itself.
    plugin(dir, CONNECT);
    let status = node.until_running("a").await;
    assert_eq!(status.pod_ip, "10.9.0.2");
    let log = || fs::read_to_string(dir.join("log")).unwrap();
    let added = "ADD /ns/uid-a/net ";
    let last = log().lines().rfind(|line| line.starts_with(added)).map(str::to_owned).unwrap();
    assert!(last.contains("K8S_POD_NAMESPACE=default") && last.contains("K8S_POD_NAME=a"), "{last}");

    let before = log().lines().filter(|line| line.starts_with("DEL ")).count();
    node.cluster.delete("a", 1);
    node.until_gone("a").await;
    let after: Vec<String> =
        log().lines().filter(|line| line.starts_with("DEL ")).map(str::to_owned).collect();
    assert_eq!(after.len(), before + 1, "taken down once");
    assert!(after[before].contains("K8S_POD_NAME=a;"), "{after:?}");
    assert_eq!(fs::read_dir(dir.join("cni")).unwrap().count(), 0);
}
