//! Nodes that are pretended: they send heartbeats, take pods, run and end them, and may fall silent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::coordination::v1::Lease;
use gantry_api::core::v1::{Binding, Node, ObjectReference, Pod};
use gantry_api::meta::v1::{DeleteOptions, ObjectMeta};
use gantry_api::scalars::{MicroTime, Time};
use gantry_client::{Client, Informer, ObjectKey, PatchType, PodExt, WorkQueue, controller};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::rig::Cluster;

/// An image whose containers never become ready.
pub(crate) const BROKEN: &str = "example.com/broken";

/// Nodes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Nodes {
    client: Client,
    names: Arc<Vec<String>>,
    silent: Arc<Mutex<BTreeSet<String>>>,
    pods: Informer<Pod>,
    turn: Arc<AtomicU32>,
}

impl Nodes {
    /// Registers nodes and lets them live.
    pub(crate) async fn start(cluster: &Cluster, names: &[&str]) -> Self {
        let client = cluster.admin.clone();
        let pods = Informer::<Pod>::builder(&client).spawn(cluster.stop.clone());
        let nodes = Self {
            client,
            names: Arc::new(names.iter().map(ToString::to_string).collect()),
            silent: Arc::default(),
            pods,
            turn: Arc::default(),
        };
        for name in names {
            nodes.register(name).await;
        }
        tokio::spawn(cluster.stop.clone().run_until_cancelled_owned(nodes.clone().beat()));
        tokio::spawn(nodes.clone().work(cluster.stop.clone()));
        nodes
    }

    /// From now on nobody hears of the node.
    pub(crate) fn silence(&self, name: &str) {
        self.silent.lock().insert(name.to_owned());
    }

    async fn register(&self, name: &str) {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        self.client.api::<Node>("").create(&node).await.unwrap();
        let status = json!({"status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "lastHeartbeatTime": Time::now(), "lastTransitionTime": Time::now()}],
            "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"}
        }});
        let nodes = self.client.api::<Node>("");
        nodes.patch_status(name, PatchType::StrategicMerge, &status).await.unwrap();
        let lease: Lease =
            serde_json::from_value(json!({"metadata": {"name": name, "namespace": "kube-node-lease"}}))
                .unwrap();
        self.client.api::<Lease>("kube-node-lease").create(&lease).await.unwrap();
    }

    async fn beat(self) {
        loop {
            for name in self.names.iter() {
                if self.silent.lock().contains(name) {
                    continue;
                }
                let renewal = json!({"spec": {"holderIdentity": name, "renewTime": MicroTime::now()}});
                let leases = self.client.api::<Lease>("kube-node-lease");
                // The next heartbeat comes soon.
                drop(leases.patch(name, PatchType::Merge, &renewal).await);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn work(self, stop: CancellationToken) {
        let queue = WorkQueue::new("pretence");
        let keys = queue.clone();
        self.pods.on_event(move |event| {
            if let Some(pod) = event.object() {
                keys.add(ObjectKey::of(&**pod));
            }
        });
        let shutdown = queue.clone();
        tokio::join!(controller::run(queue, 4, |key| self.tend(key)), async {
            stop.cancelled().await;
            shutdown.shutdown();
        });
    }

    async fn tend(&self, key: ObjectKey) -> Result<(), gantry_client::Error> {
        let Some(pod) = self.pods.store().get_key(&key) else { return Ok(()) };
        let pods = self.client.api::<Pod>(&key.namespace);
        if pod.node_name().is_empty() {
            return if pod.is_terminating() { Ok(()) } else { self.bind(&pod).await };
        }
        if self.silent.lock().contains(pod.node_name()) || pod.is_finished() {
            return Ok(());
        }
        if pod.is_terminating() {
            let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
            return match pods.delete(&key.name, &now).await {
                Err(error) if !error.is_not_found() => Err(error),
                _ => Ok(()),
            };
        }
        if pod.phase() == "Running" {
            return Ok(());
        }
        let broken =
            pod.spec.iter().flat_map(|spec| &spec.containers).any(|container| container.image == BROKEN);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let ip = format!("10.244.{}.{}", turn / 250, turn % 250 + 1);
        let status = json!({"status": {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": if broken { "False" } else { "True" },
                "lastTransitionTime": Time::now()}]
        }});
        match pods.patch_status(&key.name, PatchType::StrategicMerge, &status).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn bind(&self, pod: &Pod) -> Result<(), gantry_client::Error> {
        let alive: Vec<&String> =
            self.names.iter().filter(|name| !self.silent.lock().contains(*name)).collect();
        let node = alive[self.turn.fetch_add(1, Ordering::Relaxed) as usize % alive.len()];
        let binding = Binding {
            metadata: Some(ObjectMeta { name: pod.name().to_owned(), ..ObjectMeta::default() }),
            target: Some(ObjectReference { kind: "Node".into(), name: node.clone(), ..Default::default() }),
        };
        let pods = self.client.api::<Pod>(pod.namespace());
        match pods.create_subresource(pod.name(), "binding", &binding).await {
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }
}
