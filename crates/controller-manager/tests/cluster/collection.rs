//! What goes with what: owners and dependents, namespaces and their content, finished pods.

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, ReplicaSet};
use gantry_api::core::v1::{ConfigMap, Namespace, Pod};
use gantry_api::meta::v1::{DeleteOptions, ListOptions};
use gantry_client::PatchType;
use serde_json::json;

use crate::pretence::Nodes;
use crate::rig::{Cluster, eventually};
use crate::workloads::{deployment, is_available, sets};

async fn running(cluster: &Cluster) -> Nodes {
    let nodes = Nodes::start(cluster, &["n1"]).await;
    cluster.manager("m", &["--leader-elect=false", "--terminated-pod-gc-threshold=1"]);
    cluster.admin.api::<Deployment>("default").create(&deployment("web", 2, &json!({}))).await.unwrap();
    eventually("two pods serve", async || is_available(&cluster.admin, "web", 2).await).await;
    nodes
}

fn policy(name: &str) -> DeleteOptions {
    DeleteOptions { propagation_policy: Some(name.to_owned()), ..DeleteOptions::default() }
}

async fn count<T: Resource>(cluster: &Cluster, namespace: &str) -> usize {
    cluster.admin.api::<T>(namespace).list(&ListOptions::default()).await.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependents_follow_their_owner() {
    let cluster = Cluster::start().await;
    let _nodes = running(&cluster).await;
    let api = cluster.admin.api::<Deployment>("default");
    api.delete("web", &policy("Background")).await.unwrap();
    assert!(api.get_opt("web").await.unwrap().is_none(), "gone at once");
    eventually("all is gone", async || {
        count::<ReplicaSet>(&cluster, "default").await + count::<Pod>(&cluster, "default").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_waits_for_its_dependents_where_it_is_asked_to() {
    let cluster = Cluster::start().await;
    let _nodes = running(&cluster).await;
    // A finalizer holds one pod, and so its ReplicaSet, and so the Deployment.
    let pods = cluster.admin.api::<Pod>("default");
    let held = pods.list(&ListOptions::default()).await.unwrap().items.remove(0);
    let finalizers = |list: serde_json::Value| json!({"metadata": {"finalizers": list}});
    pods.patch(held.name(), PatchType::Merge, &finalizers(json!(["example.com/hold"]))).await.unwrap();
    let api = cluster.admin.api::<Deployment>("default");
    api.delete("web", &policy("Foreground")).await.unwrap();
    eventually("the other pod is gone", async || count::<Pod>(&cluster, "default").await == 1).await;
    assert!(api.get("web").await.unwrap().meta().deletion_timestamp.is_some());
    assert_eq!(count::<ReplicaSet>(&cluster, "default").await, 1);
    pods.patch(held.name(), PatchType::Merge, &finalizers(json!([]))).await.unwrap();
    eventually("all is gone", async || {
        api.get_opt("web").await.unwrap().is_none()
            && count::<ReplicaSet>(&cluster, "default").await + count::<Pod>(&cluster, "default").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_stay() {
    let cluster = Cluster::start().await;
    let _nodes = running(&cluster).await;
    let api = cluster.admin.api::<Deployment>("default");
    api.delete("web", &policy("Orphan")).await.unwrap();
    eventually("the owner is gone and its ReplicaSet is free", async || {
        let sets = sets(&cluster.admin).await;
        api.get_opt("web").await.unwrap().is_none()
            && sets.len() == 1
            && sets[0].meta().owner_references.is_empty()
    })
    .await;
    assert_eq!(count::<Pod>(&cluster, "default").await, 2);
    // A Deployment of the same name and template takes it over.
    api.create(&deployment("web", 2, &json!({}))).await.unwrap();
    eventually("it is adopted", async || {
        let sets = sets(&cluster.admin).await;
        sets.len() == 1
            && sets[0].meta().owner_references.len() == 1
            && is_available(&cluster.admin, "web", 2).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let cluster = Cluster::start().await;
    let _nodes = running(&cluster).await;
    let namespaces = cluster.admin.api::<Namespace>("");
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap();
    namespaces.create(&namespace).await.unwrap();
    let mut web = deployment("web", 3, &json!({}));
    web.meta_mut().namespace = "shop".into();
    cluster.admin.api::<Deployment>("shop").create(&web).await.unwrap();
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {
        "name": "held", "namespace": "shop", "finalizers": ["example.com/hold"]
    }}))
    .unwrap();
    let maps = cluster.admin.api::<ConfigMap>("shop");
    maps.create(&map).await.unwrap();
    eventually("its pods are there", async || count::<Pod>(&cluster, "shop").await == 3).await;

    namespaces.delete("shop", &DeleteOptions::default()).await.unwrap();
    let remaining = |namespace: &Namespace| {
        let conditions = namespace.status.iter().flat_map(|status| &status.conditions);
        conditions
            .filter(|condition| {
                condition.r#type == "NamespaceFinalizersRemaining" && condition.status == "True"
            })
            .map(|condition| condition.message.clone())
            .collect::<String>()
    };
    eventually("all but what is held is gone, which is told", async || {
        let shop = namespaces.get("shop").await.unwrap();
        remaining(&shop).contains("example.com/hold in 1 resource instances")
            && count::<Deployment>(&cluster, "shop").await + count::<Pod>(&cluster, "shop").await == 0
    })
    .await;
    let late: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "late", "namespace": "shop"}})).unwrap();
    assert!(maps.create(&late).await.unwrap_err().is_namespace_terminating());
    maps.patch("held", PatchType::Merge, &json!({"metadata": {"finalizers": []}})).await.unwrap();
    eventually("the namespace is gone", async || namespaces.get_opt("shop").await.unwrap().is_none()).await;
    assert!(is_available(&cluster.admin, "web", 2).await, "the others stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_pods_go_when_there_are_too_many() {
    let cluster = Cluster::start().await;
    let pods = cluster.admin.api::<Pod>("default");
    for number in 0..4 {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": format!("job-{number}"), "namespace": "default"},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
        }))
        .unwrap();
        pods.create(&pod).await.unwrap();
        let done = json!({"status": {"phase": "Succeeded"}});
        pods.patch_status(&format!("job-{number}"), PatchType::Merge, &done).await.unwrap();
    }
    cluster.manager("m", &["--leader-elect=false", "--terminated-pod-gc-threshold=1"]);
    eventually("one is left", async || count::<Pod>(&cluster, "default").await == 1).await;
}
