//! EndpointSlices: which pods stand behind a Service.
//!
//! A change of a pod's readiness is written at once: during a rolling update, each moment of delay is one in which a
//! request may meet a pod that is gone.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use gantry_api::Resource;
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;
use gantry_client::{Event, ObjectKey, WorkQueue, controller};

use crate::context::BY_SERVICE;
use crate::pod::Pod;
use crate::replicaset::suffix;
use crate::{Context, Error};

mod decide;
mod endpoint;

pub use decide::{Action, Snapshot, reconcile};

pub(crate) use decide::{families, selects};
pub(crate) use endpoint::{endpoint, has_place, ports};

/// The label that names a slice's Service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that says who keeps a slice.
pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] for slices of this controller.
pub(crate) const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// The label of a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("endpoint_slice");
    watch(context, &queue);
    let synced = context.services.synced().await
        && context.pods.synced().await
        && context.nodes.synced().await
        && context.endpoint_slices.synced().await;
    if !synced {
        return;
    }
    let shutdown = queue.clone();
    let workers = context.options.concurrent_service_endpoint_syncs;
    tokio::join!(controller::run(queue, workers, |key| sync(context, key)), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

/// Asks for a Service whenever it changes, or a pod that stands behind it does.
pub(crate) fn watch_services_and_pods(context: &Context, queue: &WorkQueue<ObjectKey>) {
    let services = queue.clone();
    context.services.on_event(move |event| {
        if let Some(service) = event.object() {
            services.add(ObjectKey::of(&**service));
        }
    });
    let (store, pods) = (context.services.store(), queue.clone());
    context.pods.on_event(move |event| {
        let (new, old) = match event {
            Event::Added(pod) | Event::Deleted(pod) => (pod, None),
            Event::Modified { old, new } => (new, Some(old)),
            Event::Resync => return,
        };
        if old.is_some_and(|old| !endpoint::differs(old, new)) {
            return;
        }
        for service in store.list_namespace(new.namespace()) {
            let selects = |pod: &Pod| decide::selects(&service, pod);
            if selects(new) || old.is_some_and(|old| selects(old)) {
                pods.add(ObjectKey::of(&*service));
            }
        }
    });
}

fn watch(context: &Context, queue: &WorkQueue<ObjectKey>) {
    watch_services_and_pods(context, queue);
    let slices = queue.clone();
    context.endpoint_slices.on_event(move |event| {
        if let Some(slice) = event.object()
            && slice.meta().labels.get(MANAGED_BY).is_some_and(|manager| manager == CONTROLLER)
            && let Some(service) = slice.meta().labels.get(SERVICE_NAME)
        {
            slices.add(ObjectKey::new(slice.namespace(), service));
        }
    });
    let (store, nodes) = (context.services.store(), queue.clone());
    context.nodes.on_event(move |event| {
        let moved = match event {
            Event::Modified { old, new } => old.meta().labels.get(ZONE) != new.meta().labels.get(ZONE),
            _ => false,
        };
        if moved {
            for service in store.list() {
                nodes.add(ObjectKey::of(&*service));
            }
        }
    });
}

async fn sync(context: &Context, key: ObjectKey) -> Result<Option<Duration>, Error> {
    let service = context.services.store().get_key(&key);
    let slices = context
        .endpoint_slices
        .store()
        .by_index(BY_SERVICE, &key.to_string())
        .into_iter()
        .filter(|slice| slice.meta().labels.get(MANAGED_BY).is_some_and(|manager| manager == CONTROLLER))
        .collect();
    let pods = match &service {
        Some(service) => pods(context, service),
        None => Vec::new(),
    };
    let zones = zones(context);
    let actions = reconcile(&Snapshot { service, pods, slices, zones });
    let total = actions.len();
    let outcomes = join_all(actions.into_iter().map(|action| apply(context, action))).await;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    match outcomes.into_iter().find_map(Result::err) {
        Some(source) if source.is_namespace_terminating() => Ok(None),
        Some(source) => Err(Error::Writes { failed, total, source }),
        None => Ok(None),
    }
}

fn pods(context: &Context, service: &Service) -> Vec<std::sync::Arc<Pod>> {
    let mut pods = context.pods.store().list_namespace(service.namespace());
    pods.retain(|pod| decide::selects(service, pod));
    pods
}

fn zones(context: &Context) -> HashMap<String, String> {
    let zone = |node: &gantry_api::core::v1::Node| {
        node.meta().labels.get(ZONE).map(|zone| (node.name().to_owned(), zone.clone()))
    };
    context.nodes.store().list().iter().filter_map(|node| zone(node)).collect()
}

async fn apply(context: &Context, action: Action) -> Result<(), gantry_client::Error> {
    match action {
        Action::Create(mut slice) => {
            let base = slice.meta().generate_name.clone();
            slice.meta_mut().name = format!("{base}{}", suffix(rand::random()));
            context.endpoint_slices.note(context.writer.create(&*slice).await?);
        }
        Action::Update(slice) => context.endpoint_slices.note(context.writer.update(&*slice).await?),
        Action::Delete(slice) => {
            let deleted = context
                .writer
                .delete::<EndpointSlice>(slice.namespace(), slice.name(), &Default::default())
                .await;
            match deleted {
                Ok(_) => context.endpoint_slices.note_deleted(&*slice),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
