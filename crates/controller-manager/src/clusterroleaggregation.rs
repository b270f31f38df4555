//! Cluster roles that are the sum of others: their rules are written here.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::rbac::v1::ClusterRole;
use gantry_client::{Informer, ObjectKey, PatchType, WorkQueue, controller};
use serde_json::json;

use crate::{Context, Error};

mod decide;

pub use decide::reconcile;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("cluster_role_aggregator");
    let informer = Informer::<ClusterRole>::builder(&context.client)
        .transform(|role: &mut ClusterRole| role.meta_mut().managed_fields.clear())
        .spawn(context.stop.clone());
    let (sums, roles) = (queue.clone(), informer.store());
    informer.on_event(move |_| {
        // Any role may be part of any sum; there are few sums.
        for role in roles.list().iter().filter(|role| role.aggregation_rule.is_some()) {
            sums.add(ObjectKey::of(&**role));
        }
    });
    // A sum of some of its parts takes rights away.
    if !informer.synced().await {
        return;
    }
    let shutdown = queue.clone();
    tokio::join!(controller::run(queue, 1, |key| sync(context, &informer, key)), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn sync(
    context: &Context,
    informer: &Informer<ClusterRole>,
    key: ObjectKey,
) -> Result<Option<Duration>, Error> {
    let store = informer.store();
    let Some(role) = store.get_key(&key) else { return Ok(None) };
    let Some(rules) = reconcile(&role, &store.list())? else { return Ok(None) };
    // The revision makes this fail where the store is behind.
    let patch = json!({ "metadata": { "resourceVersion": role.meta().resource_version }, "rules": rules });
    match context.client.api::<ClusterRole>("").patch(role.name(), PatchType::Merge, &patch).await {
        Ok(written) => informer.note(written),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    Ok(None)
}
