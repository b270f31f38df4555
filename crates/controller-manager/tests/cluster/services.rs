//! Services: their endpoints follow the pods' readiness.

use gantry_api::Resource;
use gantry_api::apps::v1::Deployment;
use gantry_api::core::v1::{Endpoints, Pod, Service};
use gantry_api::discovery::v1::EndpointSlice;
use gantry_api::meta::v1::{DeleteOptions, ListOptions};
use gantry_client::PatchType;
use serde_json::json;

use crate::pretence::Nodes;
use crate::rig::{Cluster, eventually};
use crate::workloads::{deployment, is_available};

/// How many endpoints are ready and how many there are, in slices.
async fn in_slices(cluster: &Cluster) -> (usize, usize) {
    let options =
        ListOptions { label_selector: "kubernetes.io/service-name=web".into(), ..ListOptions::default() };
    let slices = cluster.admin.api::<EndpointSlice>("default").list(&options).await.unwrap().items;
    let all: Vec<bool> = slices
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .map(|endpoint| endpoint.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true)))
        .collect();
    (all.iter().filter(|ready| **ready).count(), all.len())
}

/// The same in the Endpoints object.
async fn in_endpoints(cluster: &Cluster) -> (usize, usize) {
    let Some(endpoints) = cluster.admin.api::<Endpoints>("default").get_opt("web").await.unwrap() else {
        return (0, 0);
    };
    let ready: usize = endpoints.subsets.iter().map(|subset| subset.addresses.len()).sum();
    let others: usize = endpoints.subsets.iter().map(|subset| subset.not_ready_addresses.len()).sum();
    (ready, ready + others)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_follow_readiness() {
    let cluster = Cluster::start().await;
    let _nodes = Nodes::start(&cluster, &["n1"]).await;
    cluster.manager("m", &["--leader-elect=false"]);
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    }))
    .unwrap();
    let services = cluster.admin.api::<Service>("default");
    services.create(&service).await.unwrap();
    cluster.admin.api::<Deployment>("default").create(&deployment("web", 3, &json!({}))).await.unwrap();
    eventually("three pods serve", async || is_available(&cluster.admin, "web", 3).await).await;
    let settled = async |expected: (usize, usize)| {
        in_slices(&cluster).await == expected && in_endpoints(&cluster).await == expected
    };
    eventually("all are told", async || settled((3, 3)).await).await;

    let pods = cluster.admin.api::<Pod>("default");
    let name = pods.list(&ListOptions::default()).await.unwrap().items[0].name().to_owned();
    for (ready, expected) in [("False", (2, 3)), ("True", (3, 3))] {
        let status = json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}});
        pods.patch_status(&name, PatchType::StrategicMerge, &status).await.unwrap();
        eventually("readiness is followed", async || settled(expected).await).await;
    }
    let scale = json!({"spec": {"replicas": 0}});
    cluster.admin.api::<Deployment>("default").patch("web", PatchType::Merge, &scale).await.unwrap();
    eventually("none is left", async || settled((0, 0)).await).await;
    services.delete("web", &DeleteOptions::default()).await.unwrap();
    eventually("both forms go with the Service", async || {
        let endpoints = cluster.admin.api::<Endpoints>("default").get_opt("web").await.unwrap();
        let options =
            ListOptions { label_selector: "kubernetes.io/service-name=web".into(), ..ListOptions::default() };
        let slices = cluster.admin.api::<EndpointSlice>("default").list(&options).await.unwrap().items;
        endpoints.is_none() && slices.is_empty()
    })
    .await;
}
