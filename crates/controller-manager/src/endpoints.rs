//! Endpoints: the form of a Service's endpoints that old programs read, one object for each Service with a selector.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Endpoints;
use gantry_api::meta::v1::{DeleteOptions, Preconditions};
use gantry_client::{ObjectKey, WorkQueue, controller};

use crate::{Context, Error, endpointslice};

mod decide;

pub use decide::{Action, Snapshot, reconcile};

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("endpoint");
    watch(context, &queue);
    let synced =
        context.services.synced().await && context.pods.synced().await && context.endpoints.synced().await;
    if !synced {
        return;
    }
    let shutdown = queue.clone();
    let workers = context.options.concurrent_endpoint_syncs;
    tokio::join!(controller::run(queue, workers, |key| sync(context, key)), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

fn watch(context: &Context, queue: &WorkQueue<ObjectKey>) {
    endpointslice::watch_services_and_pods(context, queue);
    let own = queue.clone();
    context.endpoints.on_event(move |event| {
        if let Some(endpoints) = event.object() {
            own.add(ObjectKey::of(&**endpoints));
        }
    });
}

async fn sync(context: &Context, key: ObjectKey) -> Result<Option<Duration>, Error> {
    let service = context.services.store().get_key(&key);
    let present = context.endpoints.store().get_key(&key);
    let pods = match &service {
        Some(service) => {
            let mut pods = context.pods.store().list_namespace(&key.namespace);
            pods.retain(|pod| endpointslice::selects(service, pod));
            pods
        }
        None => Vec::new(),
    };
    let Some(action) = reconcile(&Snapshot { service, pods, present }) else { return Ok(None) };
    let api = context.client.api::<Endpoints>(&key.namespace);
    match action {
        Action::Create(endpoints) => match api.create(&endpoints).await {
            Ok(created) => context.endpoints.note(created),
            Err(error) if error.is_namespace_terminating() => {}
            Err(error) => return Err(error.into()),
        },
        Action::Update(endpoints) => context.endpoints.note(api.update(&endpoints).await?),
        Action::Delete(endpoints) => {
            let uid = Some(endpoints.meta().uid.clone());
            let preconditions = Some(Preconditions { uid, resource_version: None });
            match api.delete(&key.name, &DeleteOptions { preconditions, ..DeleteOptions::default() }).await {
                Ok(_) => context.endpoints.note_deleted(&*endpoints),
                Err(error) if error.is_not_found() || error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(None)
}
