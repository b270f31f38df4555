//! Pod ranges of nodes: each gets one of the cluster's range, for good, and no two get the same.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Node;
use gantry_client::recorder::WARNING;
use gantry_client::{ObjectKey, PatchType, Recorder, WorkQueue, controller};
use serde_json::json;

use crate::{Context, Error};

mod decide;

pub use decide::{Decision, Snapshot, reconcile};

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    if !context.options.allocate_node_cidrs {
        return;
    }
    let queue = WorkQueue::new("node_ipam");
    let nodes = queue.clone();
    context.nodes.on_event(move |event| {
        if let Some(node) = event.object() {
            nodes.add(ObjectKey::of(&**node));
        }
    });
    // Which ranges are taken is known only after a whole list.
    if !context.nodes.synced().await {
        return;
    }
    let shutdown = queue.clone();
    let recorder = context.recorder("cidrAllocator");
    // One at a time: two decisions on one snapshot could take the same range.
    tokio::join!(controller::run(queue, 1, |key| sync(context, &recorder, key)), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn sync(context: &Context, recorder: &Recorder, key: ObjectKey) -> Result<Option<Duration>, Error> {
    let store = context.nodes.store();
    let Some(node) = store.get_key(&key) else { return Ok(None) };
    let snapshot = Snapshot {
        range: context.options.cluster_cidr,
        prefix: context.options.node_cidr_mask_size,
        nodes: store.list(),
    };
    match reconcile(&snapshot, &node) {
        Decision::Keep => Ok(None),
        Decision::Assign(range) => {
            let range = range.to_string();
            // The revision makes this fail where the store is behind.
            let patch = json!({
                "metadata": { "resourceVersion": node.meta().resource_version },
                "spec": { "podCIDR": range, "podCIDRs": [range] },
            });
            let written = context.client.api::<Node>("").patch(node.name(), PatchType::Merge, &patch).await?;
            context.nodes.note(written);
            Ok(None)
        }
        Decision::Exhausted => {
            let message = format!("No range of {} is free", context.options.cluster_cidr);
            recorder.event_for(&*node, WARNING, "CIDRNotAvailable", message);
            // A node that goes frees its range.
            Ok(Some(Duration::from_secs(30)))
        }
        Decision::Doubled(other) => {
            let message = format!("Node {} has the same pod range", other.name());
            recorder.event_for(&*node, WARNING, "CIDRAssignmentFailed", message);
            Ok(None)
        }
    }
}
