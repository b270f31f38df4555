//! Pods that nobody ends: their node is gone, they never got one, or there are too many that have finished.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use gantry_api::core;
use gantry_api::core::v1::Node;
use gantry_api::meta::v1::{DeleteOptions, Preconditions};
use gantry_client::PodExt;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::Context;

mod decide;

pub use decide::{Doomed, Snapshot, reconcile};

/// How often to look.
const PERIOD: Duration = Duration::from_secs(20);
/// How long a node must be missing: it may be registered anew.
const QUARANTINE: Duration = Duration::from_secs(40);

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    if !(context.pods.synced().await && context.nodes.synced().await) {
        return;
    }
    let mut missing: HashMap<String, Instant> = HashMap::new();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while context.stop.run_until_cancelled(period.tick()).await.is_some() {
        let pods = context.pods.store().list();
        let nodes = context.nodes.store();
        let now = Instant::now();
        let named = pods.iter().map(|pod| pod.node_name());
        let absent: Vec<&str> =
            named.filter(|node| !node.is_empty() && nodes.get("", node).is_none()).collect();
        missing.retain(|node, _| absent.contains(&node.as_str()));
        for node in absent {
            missing.entry(node.to_owned()).or_insert(now);
        }
        let gone = confirm(context, &missing, now).await;
        let snapshot = Snapshot {
            pods,
            nodes: nodes.list(),
            gone,
            threshold: context.options.terminated_pod_gc_threshold,
        };
        join_all(reconcile(&snapshot).iter().map(|doomed| delete(context, doomed))).await;
    }
}

/// The nodes that are missing for long, and that the API server does not have either.
async fn confirm(context: &Context, missing: &HashMap<String, Instant>, now: Instant) -> Vec<String> {
    let old = missing.iter().filter(|(_, since)| now.duration_since(**since) >= QUARANTINE);
    let nodes = context.client.api::<Node>("");
    let mut gone = Vec::new();
    for (name, _) in old {
        if let Ok(None) = nodes.get_opt(name).await {
            gone.push(name.clone());
        }
    }
    gone
}

async fn delete(context: &Context, doomed: &Doomed) {
    let pod = &*doomed.pod;
    info!(pod = %pod.key(), reason = doomed.reason, "deleting a pod that nobody ends");
    let options = DeleteOptions {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some(pod.meta().uid.clone()), resource_version: None }),
        ..DeleteOptions::default()
    };
    match context.writer.delete::<core::v1::Pod>(pod.namespace(), pod.name(), &options).await {
        Ok(_) => context.pods.note_deleted(pod),
        // The next look comes soon.
        Err(error) => {
            debug!(pod = %pod.key(), error = &error as &dyn std::error::Error, "cannot delete");
        }
    }
}
