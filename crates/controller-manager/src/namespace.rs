//! The deletion of namespaces: everything in them goes first.

use std::time::Duration;

use futures::future::join_all;
use gantry_api::convert::stored_kind;
use gantry_api::core::v1::Namespace;
use gantry_api::meta::v1::{DeleteOptions, ListOptions};
use gantry_api::{Kind, Resource, registry};
use gantry_client::{ObjectKey, WorkQueue, controller};
use jiff::Timestamp;
use tracing::info;

use crate::{Context, Error};

mod conditions;

use conditions::Remains;

/// What holds a namespace until its content is gone.
const FINALIZER: &str = "kubernetes";
/// How soon to look again at what takes its time: pods that end in order, objects with finalizers.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("namespace");
    let namespaces = queue.clone();
    context.namespaces.on_event(move |event| {
        if let Some(namespace) = event.object()
            && is_leaving(namespace)
        {
            namespaces.add(ObjectKey::of(&**namespace));
        }
    });
    let shutdown = queue.clone();
    tokio::join!(
        controller::run(queue, context.options.concurrent_namespace_syncs, |key| sync(context, key)),
        async {
            context.stop.cancelled().await;
            shutdown.shutdown();
        }
    );
}

fn is_leaving(namespace: &Namespace) -> bool {
    let held =
        namespace.spec.as_ref().is_some_and(|spec| spec.finalizers.iter().any(|name| name == FINALIZER));
    namespace.meta().deletion_timestamp.is_some() && held
}

async fn sync(context: &Context, key: ObjectKey) -> Result<Option<Duration>, Error> {
    let Some(namespace) = context.namespaces.store().get_key(&key).filter(|namespace| is_leaving(namespace))
    else {
        return Ok(None);
    };
    // What cannot be seen cannot be deleted: without the custom resources the namespace stays.
    let custom = context.client.custom_resources().await?;
    let kinds = registry::all().iter().copied().filter(|kind| stored_kind(kind) == *kind).chain(custom);
    let kinds = kinds.filter(|kind| kind.namespaced());
    let remains: Vec<Remains> = join_all(kinds.map(|kind| empty(context, kind, &key.name))).await;
    let namespaces = context.client.api::<Namespace>("");
    let is_empty = remains.iter().all(Remains::is_nothing);
    let conditions = conditions::renew(&namespace, &remains, Timestamp::now());
    let mut next = (*namespace).clone();
    if let Some(conditions) = conditions {
        next.status.get_or_insert_default().conditions = conditions;
        next = namespaces.update_status(&next).await?;
        context.namespaces.note(next.clone());
    }
    if !is_empty {
        return Ok(Some(AGAIN));
    }
    info!(namespace = key.name, "the namespace is empty; letting it go");
    next.spec.get_or_insert_default().finalizers.retain(|name| name != FINALIZER);
    match namespaces.update_subresource("finalize", &next).await {
        Ok(_) => Ok(None),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Deletes the objects of a kind; says what remains.
async fn empty(context: &Context, kind: &'static Kind, namespace: &str) -> Remains {
    let api = context.client.dynamic(kind, namespace);
    let options =
        DeleteOptions { propagation_policy: Some("Background".to_owned()), ..DeleteOptions::default() };
    let outcome = async {
        let deleted = api.delete_collection(&options, &ListOptions::default()).await?;
        if deleted.items.is_empty() {
            return Ok(deleted);
        }
        // What finalizers and grace periods keep is still there.
        api.list(&ListOptions::default()).await
    };
    match outcome.await {
        Ok(list) => Remains {
            kind,
            objects: list.items.len(),
            finalizers: list.items.iter().flat_map(|object| object.meta().finalizers.clone()).collect(),
            error: None,
        },
        Err(error) => Remains { kind, objects: 0, finalizers: Vec::new(), error: Some(error.to_string()) },
    }
}
