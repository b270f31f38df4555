//! Disruption budgets: evictions one after the other, as fast as pods are replaced.

use gantry_api::Resource;
use gantry_api::apps::v1::Deployment;
use gantry_api::core::v1::Pod;
use gantry_api::meta::v1::{ListOptions, ObjectMeta};
use gantry_api::policy::v1::{Eviction, PodDisruptionBudget, PodDisruptionBudgetStatus};
use gantry_client::{Client, PatchType, PodExt};
use serde_json::{Value, json};

use crate::pretence::Nodes;
use crate::rig::{Cluster, eventually};
use crate::workloads::{deployment, is_available};

async fn budget(client: &Client, spec: &Value) {
    let mut whole = json!({
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}}
    });
    for (key, value) in spec.as_object().unwrap() {
        whole["spec"][key] = value.clone();
    }
    let budget: PodDisruptionBudget = serde_json::from_value(whole).unwrap();
    client.api::<PodDisruptionBudget>("default").create(&budget).await.unwrap();
}

async fn status(client: &Client) -> PodDisruptionBudgetStatus {
    client.api::<PodDisruptionBudget>("default").get("b").await.unwrap().status.unwrap_or_default()
}

/// Expected, desired, healthy, allowed.
async fn is(client: &Client, numbers: (i32, i32, i32, i32)) -> bool {
    let status = status(client).await;
    let found =
        (status.expected_pods, status.desired_healthy, status.current_healthy, status.disruptions_allowed);
    status.observed_generation > 0 && found == numbers
}

async fn pods(client: &Client) -> Vec<Pod> {
    let mut pods = client.api::<Pod>("default").list(&ListOptions::default()).await.unwrap().items;
    pods.retain(|pod| !pod.is_terminating());
    pods
}

async fn evict(client: &Client, name: &str) -> Result<(), gantry_client::Error> {
    let metadata = ObjectMeta { name: name.into(), namespace: "default".into(), ..ObjectMeta::default() };
    let eviction = Eviction { metadata: Some(metadata), ..Eviction::default() };
    client.api::<Pod>("default").create_subresource(name, "eviction", &eviction).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_evicted_as_fast_as_they_are_replaced() {
    let cluster = Cluster::start().await;
    let _nodes = Nodes::start(&cluster, &["n1", "n2"]).await;
    cluster.manager("m", &["--leader-elect=false"]);
    let admin = &cluster.admin;
    admin.api::<Deployment>("default").create(&deployment("web", 3, &json!({}))).await.unwrap();
    eventually("three pods serve", async || is_available(admin, "web", 3).await).await;
    budget(admin, &json!({"maxUnavailable": 1})).await;
    eventually("one may go", async || is(admin, (3, 2, 3, 1)).await).await;
    let condition = status(admin).await.conditions.remove(0);
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "SufficientPods"));

    // All of them go, each when the one before is replaced.
    for old in pods(admin).await {
        eventually("it may go", async || evict(admin, old.name()).await.is_ok()).await;
        let left = pods(admin).await;
        assert!(left.iter().filter(|pod| pod.is_ready()).count() >= 2, "{left:?}");
    }
    eventually("all are replaced", async || {
        is(admin, (3, 2, 3, 1)).await && status(admin).await.disrupted_pods.is_empty()
    })
    .await;

    let whole = json!({"spec": {"maxUnavailable": 0}});
    admin.api::<PodDisruptionBudget>("default").patch("b", PatchType::Merge, &whole).await.unwrap();
    eventually("none may go", async || is(admin, (3, 3, 3, 0)).await).await;
    let error = evict(admin, pods(admin).await[0].name()).await.unwrap_err();
    assert_eq!(error.reason(), "TooManyRequests");
    let cause = &error.status().unwrap().details.as_ref().unwrap().causes[0];
    assert_eq!(cause.message, "The disruption budget b needs 3 healthy pods and has 3 currently");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_worked_out_allows_nothing() {
    let cluster = Cluster::start().await;
    cluster.manager("m", &["--leader-elect=false"]);
    let admin = &cluster.admin;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "a", "namespace": "default", "labels": {"app": "web"}, "ownerReferences": [
            {"apiVersion": "example.com/v1", "kind": "Foo", "name": "f", "uid": "u", "controller": true}
        ]},
        "spec": {"containers": [{"name": "c", "image": "example.com/app:1"}]}
    }))
    .unwrap();
    admin.api::<Pod>("default").create(&pod).await.unwrap();
    budget(admin, &json!({"minAvailable": "50%"})).await;
    eventually("it says why", async || {
        let conditions = status(admin).await.conditions;
        conditions.iter().any(|condition| {
            condition.reason == "SyncFailed"
                && condition.message == r#"no matches for kind "Foo" in version "example.com/v1""#
        })
    })
    .await;
    assert_eq!(status(admin).await.disruptions_allowed, 0);
}
