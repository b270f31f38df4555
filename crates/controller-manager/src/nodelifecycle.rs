//! The life of nodes: who is silent too long counts as unreachable, its pods take no traffic at once and are evicted
//! when their patience ends.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gantry_api::Resource;
use gantry_api::core;
use gantry_api::core::v1::Node;
use gantry_api::meta::v1::{DeleteOptions, Preconditions};
use gantry_api::scalars::Time;
use gantry_client::recorder::NORMAL;
use gantry_client::{ObjectKey, PatchType, PodExt, Recorder, WorkQueue, controller};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::context::{BY_NODE, NODE_LEASES};
use crate::pod::Pod;
use crate::{Context, Error};

mod eviction;
mod health;
mod taints;
mod zones;

use eviction::Patience;
use health::Monitor;
use zones::Limiter;

/// Nodes that are worked on at once.
const WORKERS: usize = 4;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("node_lifecycle");
    let nodes = queue.clone();
    context.nodes.on_event(move |event| {
        if let Some(node) = event.object() {
            nodes.add(ObjectKey::of(&**node));
        }
    });
    let (store, pods) = (context.nodes.store(), queue.clone());
    context.pods.on_event(move |event| {
        // Only nodes with trouble have anything to do with their pods.
        if let Some(pod) = event.object()
            && let Some(node) = store.get("", pod.node_name())
            && (taints::evicts(&node) || health::is_unreachable(&node))
        {
            pods.add(ObjectKey::of(&*node));
        }
    });
    let synced = context.nodes.synced().await && context.pods.synced().await && context.leases.synced().await;
    if !synced {
        return;
    }
    let shutdown = queue.clone();
    let controller = Controller {
        context,
        recorder: context.recorder("node-controller"),
        monitor: Mutex::new(Monitor::default()),
        limiter: Mutex::new(Limiter::new(&context.options)),
    };
    tokio::join!(
        controller::run(queue.clone(), WORKERS, |key| controller.sync(key)),
        controller.watch_health(&queue),
        async {
            context.stop.cancelled().await;
            shutdown.shutdown();
        }
    );
}

struct Controller<'a> {
    context: &'a Context,
    recorder: Recorder,
    monitor: Mutex<Monitor>,
    limiter: Mutex<Limiter>,
}

impl Controller<'_> {
    /// Looks at all nodes' heartbeats, period after period.
    async fn watch_health(&self, queue: &WorkQueue<ObjectKey>) {
        let mut period = tokio::time::interval(self.context.options.node_monitor_period);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.context.stop.run_until_cancelled(period.tick()).await.is_some() {
            let nodes = self.context.nodes.store().list();
            let leases = self.context.leases.store();
            let (now, wall) = (Instant::now(), Timestamp::now());
            let silent: Vec<_> = {
                let mut monitor = self.monitor.lock();
                monitor.retain(|name| nodes.iter().any(|node| node.name() == name));
                nodes
                    .iter()
                    .filter_map(|node| {
                        let lease = leases.get(NODE_LEASES, node.name());
                        monitor.check(node, lease.as_deref(), &self.context.options, now, wall)
                    })
                    .collect()
            };
            let may_evict = {
                let mut limiter = self.limiter.lock();
                limiter.observe(&nodes, now);
                !limiter.is_halted()
            };
            join_all(silent.into_iter().map(|node| self.mark_unreachable(node))).await;
            // Also those that wait for a place among the evictions.
            for node in nodes.iter().filter(|node| taints::wanted(node, wall, may_evict).is_some()) {
                queue.add(ObjectKey::of(&**node));
            }
        }
    }

    async fn mark_unreachable(&self, node: Node) {
        info!(node = node.name(), "the node is silent");
        match self.context.client.api::<Node>("").update_status(&node).await {
            Ok(written) => {
                let message = format!("Node {} status is now: NodeNotReady", node.name());
                self.recorder.event_for(&written, NORMAL, "NodeNotReady", message);
                self.context.nodes.note(written);
            }
            // The next look at the heartbeats comes soon.
            Err(error) => {
                debug!(
                    node = node.name(),
                    error = &error as &dyn std::error::Error,
                    "cannot write conditions"
                );
            }
        }
    }

    async fn sync(&self, key: ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(node) = self.context.nodes.store().get_key(&key) else { return Ok(None) };
        let node = self.taint(node).await?;
        let pods = self.context.pods.store().by_index(BY_NODE, node.name());
        if health::is_unreachable(&node) {
            self.mark_not_ready(&pods).await?;
        }
        self.evict(&node, &pods).await
    }

    /// Brings the node's taints in line with its conditions.
    async fn taint(&self, node: Arc<Node>) -> Result<Arc<Node>, Error> {
        let now = Timestamp::now();
        // A place among the evictions is taken only where one is needed.
        let spare = taints::wants_eviction(&node)
            && !taints::evicts(&node)
            && self.limiter.lock().take(&node, Instant::now());
        let halted = self.limiter.lock().is_halted();
        let may_evict = (spare || taints::evicts(&node)) && !halted;
        let Some(taints) = taints::wanted(&node, now, may_evict) else { return Ok(node) };
        let patch = json!({
            "metadata": { "resourceVersion": node.meta().resource_version },
            "spec": { "taints": taints },
        });
        let nodes = self.context.client.api::<Node>("");
        let written = nodes.patch(node.name(), PatchType::Merge, &patch).await?;
        self.context.nodes.note(written.clone());
        Ok(Arc::new(written))
    }

    /// Pods of a node that nobody hears of take no traffic from now on. The node says otherwise when it is back.
    async fn mark_not_ready(&self, pods: &[Arc<Pod>]) -> Result<(), Error> {
        let ready: Vec<_> = pods.iter().filter(|pod| pod.is_ready()).collect();
        let total = ready.len();
        let outcomes = join_all(ready.into_iter().map(async |pod| {
            // The revision makes this fail where the node has said something meanwhile.
            let patch = json!({
                "metadata": { "uid": pod.meta().uid, "resourceVersion": pod.meta().resource_version },
                "status": { "conditions": [{
                    "type": "Ready",
                    "status": "False",
                    "reason": "NodeNotReady",
                    "lastTransitionTime": Time::now(),
                }] },
            });
            let (namespace, name) = (pod.namespace(), pod.name());
            let written = self
                .context
                .writer
                .patch_status::<core::v1::Pod>(namespace, name, PatchType::StrategicMerge, &patch)
                .await?;
            self.recorder.event_for(&written, "Warning", "NodeNotReady", "Node is not ready");
            self.context.pods.note(written.into());
            Ok(())
        }))
        .await;
        all(outcomes, total)
    }

    /// Evicts the pods whose patience with the node's taints has ended; says when that of the next one will.
    async fn evict(&self, node: &Node, pods: &[Arc<Pod>]) -> Result<Option<Duration>, Error> {
        let now = Timestamp::now();
        let mut due = Vec::new();
        let mut next: Option<Timestamp> = None;
        for pod in pods.iter().filter(|pod| !pod.is_terminating()) {
            match eviction::patience(pod, node) {
                Patience::Endless => {}
                Patience::Until(time) if time > now => {
                    next = Some(next.map_or(time, |next| next.min(time)));
                }
                Patience::Until(_) | Patience::None => due.push(pod),
            }
        }
        let total = due.len();
        all(join_all(due.into_iter().map(|pod| self.evict_one(pod))).await, total)?;
        Ok(next.map(|next| next.duration_since(now).unsigned_abs()))
    }

    async fn evict_one(&self, pod: &Pod) -> Result<(), gantry_client::Error> {
        let message = format!("Marking for deletion Pod {}", pod.key());
        self.recorder.event(&pod.reference(), NORMAL, "TaintManagerEviction", message);
        let preconditions = Preconditions { uid: Some(pod.meta().uid.clone()), resource_version: None };
        let options = DeleteOptions { preconditions: Some(preconditions), ..DeleteOptions::default() };
        match self.context.writer.delete::<core::v1::Pod>(pod.namespace(), pod.name(), &options).await {
            Ok(last) if last.is_terminating() => self.context.pods.note(last.into()),
            Ok(_) => self.context.pods.note_deleted(pod),
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn all(outcomes: Vec<Result<(), gantry_client::Error>>, total: usize) -> Result<(), Error> {
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    match outcomes.into_iter().find_map(Result::err) {
        Some(source) => Err(Error::Writes { failed, total, source }),
        None => Ok(()),
    }
}
