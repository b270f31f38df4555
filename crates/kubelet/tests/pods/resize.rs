//! Pods get other resources while they run.

use gantry_api::core::v1::{Pod, PodCondition, PodStatus, ResourceRequirements};
use gantry_container_runtime::Runtime as _;
use serde_json::{Value, json};

use crate::node::Node;

fn spec(cpu: &str, memory: &str, policy: &Value) -> String {
    json!({"terminationGracePeriodSeconds": 5, "containers": [{
        "name": "web", "image": "web:1", "resizePolicy": policy,
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}},
    }]})
    .to_string()
}

/// Changes what the pod's container asks for, as a resize does.
fn resize(node: &Node, name: &str, cpu: &str, memory: &str) {
    let mut pod = Pod::clone(&node.cluster.pod(name).unwrap());
    let amounts = json!({"cpu": cpu, "memory": memory});
    let wanted = json!({"requests": amounts, "limits": amounts});
    let spec = pod.spec.as_mut().unwrap();
    spec.containers[0].resources = Some(serde_json::from_value(wanted).unwrap());
    pod.metadata.as_mut().unwrap().generation += 1;
    node.cluster.apply(pod);
}

fn shown(resources: Option<&ResourceRequirements>) -> String {
    let cpu = resources.and_then(|resources| resources.requests.get("cpu"));
    cpu.map(ToString::to_string).unwrap_or_default()
}

fn is_at(status: &PodStatus, cpu: &str) -> bool {
    status.container_statuses.iter().any(|c| c.ready && shown(c.resources.as_ref()) == cpu)
        && status.conditions.iter().all(|c| !c.r#type.starts_with("PodResize"))
}

fn pending(status: &PodStatus) -> Option<&PodCondition> {
    status.conditions.iter().find(|condition| condition.r#type == "PodResizePending")
}

#[tokio::test]
async fn a_running_container_gets_other_limits() {
    let node = Node::start();
    node.create("a", &spec("100m", "64Mi", &json!([])));
    let status = node.until_running("a").await;
    assert_eq!(shown(status.container_statuses[0].resources.as_ref()), "100m");
    assert_eq!(status.container_statuses[0].allocated_resources["cpu"].to_string(), "100m");
    resize(&node, "a", "200m", "128Mi");
    let status = node.until("a", |status| is_at(status, "200m")).await;
    assert_eq!((status.container_statuses[0].restart_count, status.observed_generation), (0, 1));
    let id = node.id("a", "web", 0).await;
    let limits = node.runtime.config(&id).unwrap().resources;
    assert_eq!((limits.cpu_quota_us, limits.memory_limit_bytes), (Some(20_000), Some(128 << 20)));
    let events = node.cluster.events();
    for begin in ["ResizeStarted: Pod resize started: {", "ResizeCompleted: Pod resize completed: {"] {
        assert!(events.iter().any(|event| event.starts_with(begin)), "{begin}: {events:#?}");
    }
}

#[tokio::test]
async fn a_container_is_started_anew_where_it_says_so() {
    let node = Node::start();
    let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    node.create("a", &spec("100m", "64Mi", &policy));
    node.until_running("a").await;
    resize(&node, "a", "200m", "64Mi");
    let status = node.until("a", |status| is_at(status, "200m")).await;
    assert_eq!(status.container_statuses[0].restart_count, 0);
    resize(&node, "a", "300m", "128Mi");
    let status = node.until("a", |status| is_at(status, "300m")).await;
    assert_eq!(status.container_statuses[0].restart_count, 1);
    let limits = node.runtime.config(&node.id("a", "web", 1).await).unwrap().resources;
    assert_eq!(limits.memory_limit_bytes, Some(128 << 20));
    assert!(node.cluster.events().contains(&"Killing: Container web resize requires restart".to_owned()));
}

#[tokio::test]
async fn a_pod_waits_for_what_others_have() {
    let node = Node::start();
    for name in ["a", "b"] {
        node.create(name, &spec("900m", "64Mi", &json!([])));
        node.until_running(name).await;
    }
    resize(&node, "a", "1500m", "64Mi");
    let status = node.until("a", |status| pending(status).is_some()).await;
    let condition = pending(&status).unwrap();
    assert_eq!(
        (condition.reason.as_str(), condition.message.as_str()),
        ("Deferred", "Node didn't have enough resource: cpu, requested: 1500, used: 900, capacity: 2000")
    );
    assert_eq!(condition.observed_generation, 1);
    assert_eq!(shown(status.container_statuses[0].resources.as_ref()), "900m");
    node.cluster.delete("b", 0);
    node.until("a", |status| is_at(status, "1500m")).await;
    resize(&node, "a", "3", "64Mi");
    let status = node.until("a", |status| pending(status).is_some()).await;
    assert_eq!(
        (pending(&status).unwrap().reason.as_str(), pending(&status).unwrap().message.as_str()),
        ("Infeasible", "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000")
    );
    resize(&node, "a", "1500m", "64Mi");
    node.until("a", |status| is_at(status, "1500m")).await;
}

#[tokio::test]
async fn a_kubelet_that_was_killed_goes_on_with_a_resize() {
    let mut node = Node::start();
    node.create("a", &spec("100m", "64Mi", &json!([])));
    node.until_running("a").await;
    node.kill_kubelet().await;
    resize(&node, "a", "200m", "64Mi");
    node.start_kubelet();
    let status = node.until("a", |status| is_at(status, "200m")).await;
    assert_eq!(status.container_statuses[0].restart_count, 0);
    let limits = node.runtime.config(&node.id("a", "web", 0).await).unwrap().resources;
    assert_eq!(limits.cpu_quota_us, Some(20_000));
    assert!(node.runtime.list_containers().await.unwrap().len() == 1);
}
