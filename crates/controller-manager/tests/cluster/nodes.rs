//! Nodes: their ranges, and what becomes of their pods when they fall silent.

use std::collections::BTreeSet;

use gantry_api::apps::v1::Deployment;
use gantry_api::core::v1::{Node, Pod};
use gantry_api::meta::v1::ListOptions;
use gantry_client::PodExt;
use serde_json::json;

use crate::pretence::Nodes;
use crate::rig::{Cluster, eventually};
use crate::workloads::{deployment, is_available};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_gets_a_range_of_its_own() {
    let cluster = Cluster::start().await;
    cluster.manager("m", &["--leader-elect=false", "--cluster-cidr=10.9.0.0/22"]);
    let _nodes = Nodes::start(&cluster, &["n1", "n2", "n3", "n4", "n5"]).await;
    let ranges = async || {
        let nodes = cluster.admin.api::<Node>("").list(&ListOptions::default()).await.unwrap().items;
        let ranges = nodes.iter().flat_map(|node| &node.spec).map(|spec| spec.pod_cidr.clone());
        ranges.filter(|range| !range.is_empty()).collect::<BTreeSet<_>>()
    };
    eventually("four have one, and none is left for the fifth", async || ranges().await.len() == 4).await;
    let expected = ["10.9.0.0/24", "10.9.1.0/24", "10.9.2.0/24", "10.9.3.0/24"].map(str::to_owned);
    assert_eq!(ranges().await, expected.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pods_of_a_silent_node_are_replaced_elsewhere() {
    let cluster = Cluster::start().await;
    let nodes = Nodes::start(&cluster, &["n1", "n2", "n3"]).await;
    cluster.manager(
        "m",
        &[
            "--leader-elect=false",
            "--node-monitor-period=100ms",
            "--node-monitor-grace-period=8s",
            "--node-startup-grace-period=30s",
            "--node-eviction-rate=10",
        ],
    );
    let tolerations = json!([
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    ]);
    let template = json!({"template": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"tolerations": tolerations, "containers": [{"name": "c", "image": "example.com/app:1"}]}
    }});
    cluster.admin.api::<Deployment>("default").create(&deployment("web", 6, &template)).await.unwrap();
    eventually("six pods serve", async || is_available(&cluster.admin, "web", 6).await).await;
    let pods =
        async || cluster.admin.api::<Pod>("default").list(&ListOptions::default()).await.unwrap().items;
    let lost = pods().await.iter().filter(|pod| pod.node_name() == "n2").count();
    assert!(lost > 0);
    nodes.silence("n2");
    eventually("the node is unreachable and tainted", async || {
        let node = cluster.admin.api::<Node>("").get("n2").await.unwrap();
        let taints = node.spec.iter().flat_map(|spec| &spec.taints);
        let effects: BTreeSet<&str> = taints
            .filter(|taint| taint.key == "node.kubernetes.io/unreachable")
            .map(|taint| taint.effect.as_str())
            .collect();
        effects == ["NoExecute", "NoSchedule"].into()
    })
    .await;
    eventually("its pods take no traffic, are on their way out, and others serve", async || {
        let pods = pods().await;
        let (there, elsewhere): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(|pod| pod.node_name() == "n2");
        there.len() == lost
            && there.iter().all(|pod| !pod.is_ready() && pod.is_terminating())
            && elsewhere.iter().filter(|pod| pod.is_ready() && pod.is_active()).count() == 6
    })
    .await;
}
