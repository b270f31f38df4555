//! Deployments: pods come, roll, scale and go.

use std::collections::BTreeMap;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, ReplicaSet};
use gantry_api::core::v1::Pod;
use gantry_api::meta::v1::{DeleteOptions, ListOptions};
use gantry_client::{Client, PatchType, PodExt, WatchEvent};
use serde_json::{Value, json};

use crate::pretence::{BROKEN, Nodes};
use crate::rig::{Cluster, eventually};

pub(crate) fn deployment(name: &str, replicas: i32, spec: &Value) -> Deployment {
    let mut whole = json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "example.com/app:1"}]}
            }
        }
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        whole["spec"][key] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

pub(crate) async fn is_available(client: &Client, name: &str, count: i32) -> bool {
    let deployment = client.api::<Deployment>("default").get(name).await.unwrap();
    let status = deployment.status.clone().unwrap_or_default();
    status.observed_generation == deployment.meta().generation
        && (status.replicas, status.updated_replicas, status.available_replicas) == (count, count, count)
}

pub(crate) async fn sets(client: &Client) -> Vec<ReplicaSet> {
    client.api::<ReplicaSet>("default").list(&ListOptions::default()).await.unwrap().items
}

async fn pods(client: &Client) -> Vec<Pod> {
    client.api::<Pod>("default").list(&ListOptions::default()).await.unwrap().items
}

fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

async fn set_image(client: &Client, name: &str, image: &str) {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    client.api::<Deployment>("default").patch(name, PatchType::StrategicMerge, &patch).await.unwrap();
}

fn progress(deployment: &Deployment) -> String {
    let conditions = deployment.status.iter().flat_map(|status| &status.conditions);
    conditions.filter(|c| c.r#type == "Progressing").map(|c| c.reason.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_makes_pods_and_scales() {
    let cluster = Cluster::start().await;
    let _nodes = Nodes::start(&cluster, &["n1", "n2"]).await;
    cluster.manager("m", &["--leader-elect=false"]);
    let api = cluster.admin.api::<Deployment>("default");
    api.create(&deployment("web", 3, &json!({}))).await.unwrap();
    eventually("three pods serve", async || is_available(&cluster.admin, "web", 3).await).await;
    let sets = sets(&cluster.admin).await;
    assert_eq!(sets.len(), 1);
    for pod in pods(&cluster.admin).await {
        assert_eq!(pod.meta().owner_references[0].uid, sets[0].meta().uid);
        assert!(pod.meta().labels.contains_key("pod-template-hash"));
    }
    eventually("the roll-out is complete", async || {
        progress(&api.get("web").await.unwrap()) == "NewReplicaSetAvailable"
    })
    .await;
    for replicas in [7, 1, 0, 2] {
        api.patch("web", PatchType::Merge, &json!({"spec": {"replicas": replicas}})).await.unwrap();
        eventually("it is scaled", async || {
            is_available(&cluster.admin, "web", replicas).await
                && pods(&cluster.admin).await.len() == replicas as usize
        })
        .await;
    }
    // A pod that somebody deletes is made up for.
    let victim = pods(&cluster.admin).await.remove(0);
    cluster.admin.api::<Pod>("default").delete(victim.name(), &DeleteOptions::default()).await.unwrap();
    eventually("the pod is replaced", async || {
        let pods = pods(&cluster.admin).await;
        pods.len() == 2 && pods.iter().all(|pod| pod.name() != victim.name() && pod.is_ready())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_update_never_has_too_few_pods() {
    let cluster = Cluster::start().await;
    let _nodes = Nodes::start(&cluster, &["n1", "n2"]).await;
    cluster.manager("m", &["--leader-elect=false"]);
    let api = cluster.admin.api::<Deployment>("default");
    let strategy = json!({"revisionHistoryLimit": 1, "strategy": {"type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}}});
    api.create(&deployment("web", 4, &strategy)).await.unwrap();
    eventually("four pods serve", async || is_available(&cluster.admin, "web", 4).await).await;
    let first = sets(&cluster.admin).await.remove(0);

    let list = cluster.admin.api::<Pod>("default").list(&ListOptions::default()).await.unwrap();
    let options = ListOptions { resource_version: list.metadata.resource_version, ..ListOptions::default() };
    let mut watch = cluster.admin.api::<Pod>("default").watch(&options).await.unwrap();
    let mut present: BTreeMap<String, Pod> =
        list.items.into_iter().map(|pod| (pod.name().to_owned(), pod)).collect();
    set_image(&cluster.admin, "web", "example.com/app:2").await;
    let roll = async {
        loop {
            match watch.next().await.unwrap().unwrap() {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                    present.insert(pod.name().to_owned(), pod);
                }
                WatchEvent::Deleted(pod) => {
                    present.remove(pod.name());
                }
                WatchEvent::Bookmark { .. } => {}
            }
            let serving: Vec<&Pod> =
                present.values().filter(|pod| pod.is_active() && pod.is_ready()).collect();
            assert!(serving.len() >= 4, "only {} pods serve", serving.len());
            let new = |pod: &&&Pod| pod.spec.as_ref().unwrap().containers[0].image == "example.com/app:2";
            if present.len() == 4 && serving.iter().filter(new).count() == 4 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), roll).await.expect("the roll-out ends");
    eventually("it is complete", async || is_available(&cluster.admin, "web", 4).await).await;
    assert_eq!(api.get("web").await.unwrap().meta().annotations["deployment.kubernetes.io/revision"], "2");

    // Back to the first template: the ReplicaSet of then is taken again, under a new number.
    set_image(&cluster.admin, "web", "example.com/app:1").await;
    eventually("it is rolled back", async || {
        let sets = sets(&cluster.admin).await;
        let old = sets.iter().find(|set| set.name() == first.name());
        is_available(&cluster.admin, "web", 4).await
            && old.is_some_and(|set| size(set) == 4 && set.meta().uid == first.meta().uid)
    })
    .await;
    assert_eq!(api.get("web").await.unwrap().meta().annotations["deployment.kubernetes.io/revision"], "3");

    // The history keeps one ReplicaSet beside the present one.
    set_image(&cluster.admin, "web", "example.com/app:3").await;
    eventually("the history is cut", async || {
        is_available(&cluster.admin, "web", 4).await && sets(&cluster.admin).await.len() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_out_that_hangs_is_told_and_one_that_recreates_has_no_overlap() {
    let cluster = Cluster::start().await;
    let _nodes = Nodes::start(&cluster, &["n1"]).await;
    cluster.manager("m", &["--leader-elect=false"]);
    let api = cluster.admin.api::<Deployment>("default");
    api.create(&deployment("web", 2, &json!({"progressDeadlineSeconds": 1}))).await.unwrap();
    eventually("two pods serve", async || is_available(&cluster.admin, "web", 2).await).await;
    set_image(&cluster.admin, "web", BROKEN).await;
    eventually("it is told", async || progress(&api.get("web").await.unwrap()) == "ProgressDeadlineExceeded")
        .await;
    let serving = pods(&cluster.admin).await.iter().filter(|pod| pod.is_ready()).count();
    assert_eq!(serving, 2, "the old pods serve on");

    let recreate = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
    api.patch("web", PatchType::Merge, &recreate).await.unwrap();
    set_image(&cluster.admin, "web", "example.com/app:2").await;
    eventually("it is recreated", async || {
        let pods = pods(&cluster.admin).await;
        let images: Vec<_> =
            pods.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone()).collect();
        let new = images.iter().filter(|image| *image == "example.com/app:2").count();
        assert!(new == 0 || new == images.len(), "old and new pods at once: {images:?}");
        is_available(&cluster.admin, "web", 2).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_adopted_and_let_go_by_their_labels() {
    let cluster = Cluster::start().await;
    let _nodes = Nodes::start(&cluster, &["n1"]).await;
    let api = cluster.admin.api::<Pod>("default");
    let orphan: Pod = serde_json::from_value(json!({
        "metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "example.com/app:1"}]}
    }))
    .unwrap();
    api.create(&orphan).await.unwrap();
    cluster.manager("m", &["--leader-elect=false"]);
    let set: ReplicaSet = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "example.com/app:1"}]}
        }}
    }))
    .unwrap();
    cluster.admin.api::<ReplicaSet>("default").create(&set).await.unwrap();
    eventually("the orphan is one of two", async || {
        let pods = pods(&cluster.admin).await;
        pods.len() == 2 && pods.iter().all(|pod| pod.meta().owner_references.len() == 1)
    })
    .await;
    api.patch("orphan", PatchType::Merge, &json!({"metadata": {"labels": {"app": "debug"}}})).await.unwrap();
    eventually("it is let go and replaced", async || {
        let pods = pods(&cluster.admin).await;
        let orphan = pods.iter().find(|pod| pod.name() == "orphan").unwrap();
        pods.len() == 3 && orphan.meta().owner_references.is_empty()
    })
    .await;
}
