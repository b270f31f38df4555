//! Two managers: one works, the other takes over.

use gantry_api::apps::v1::Deployment;
use gantry_api::coordination::v1::Lease;
use gantry_client::PatchType;
use gantry_telemetry::health::Kind;
use serde_json::json;

use crate::pretence::Nodes;
use crate::rig::{Cluster, eventually};
use crate::workloads::{deployment, is_available};

const FAST: [&str; 3] = [
    "--leader-elect-lease-duration=10s",
    "--leader-elect-renew-deadline=8s",
    "--leader-elect-retry-period=200ms",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_manager_takes_over() {
    let cluster = Cluster::start().await;
    let _nodes = Nodes::start(&cluster, &["n1"]).await;
    let deployments = cluster.admin.api::<Deployment>("default");
    deployments.create(&deployment("web", 1, &json!({}))).await.unwrap();
    let leader = async || {
        let lease =
            cluster.admin.api::<Lease>("kube-system").get_opt("kube-controller-manager").await.unwrap();
        lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
    };
    let scaled = async |replicas: i32| {
        let patch = json!({"spec": {"replicas": replicas}});
        deployments.patch("web", PatchType::Merge, &patch).await.unwrap();
        eventually("it is scaled", async || is_available(&cluster.admin, "web", replicas).await).await;
    };

    let a = cluster.manager("a", &FAST);
    eventually("a leads", async || leader().await == "a").await;
    let b = cluster.manager("b", &FAST);
    scaled(2).await;
    for manager in [&a, &b] {
        // The one that waits is ready as well.
        let report = manager.checks.report(Kind::Ready, &[]).await;
        assert!(report.ok(), "{}", report.text(true));
    }
    a.stop.cancel();
    a.task.await.unwrap().unwrap();
    eventually("b leads", async || leader().await == "b").await;
    scaled(3).await;

    // One that is killed gives nothing back: its lease must expire.
    let c = cluster.manager("c", &FAST);
    b.task.abort();
    eventually("c leads", async || leader().await == "c").await;
    b.stop.cancel();
    scaled(1).await;
    c.stop.cancel();
    c.task.await.unwrap().unwrap();
}
