//! Keeps one object of a kind in each namespace that stays.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Namespace;
use gantry_client::{Informer, ObjectKey, WorkQueue, controller};

use crate::{Context, Error};

/// How many namespaces are looked at side by side.
const WORKERS: usize = 2;

/// What is to be written.
#[derive(Debug, PartialEq)]
pub(crate) enum Action<T> {
    Create(T),
    Update(T),
}

/// Runs a controller of that name until the context's end. `reconcile` says what the object `name` of a namespace
/// lacks, given the namespace and the object where there is one.
pub(crate) async fn run<T: Resource>(
    context: &Context,
    controller: &'static str,
    name: &'static str,
    reconcile: impl Fn(&Namespace, Option<&T>) -> Option<Action<T>> + Sync,
) {
    let queue = WorkQueue::new(controller);
    let objects = Informer::<T>::builder(&context.client)
        .field_selector(&format!("metadata.name={name}"))
        .spawn(context.stop.clone());
    let changed = queue.clone();
    context.namespaces.on_event(move |event| {
        if let Some(namespace) = event.object() {
            changed.add(ObjectKey::of(&**namespace));
        }
    });
    let written = queue.clone();
    objects.on_event(move |event| {
        if let Some(object) = event.object() {
            written.add(ObjectKey::new("", object.namespace()));
        }
    });
    // An object that is not known yet would be made again, and refused.
    if !objects.synced().await {
        return;
    }
    let shutdown = queue.clone();
    let work = controller::run(queue, WORKERS, |key: ObjectKey| {
        let action = context.namespaces.store().get_key(&key).filter(|namespace| stays(namespace));
        let action = action
            .and_then(|namespace| reconcile(&namespace, objects.store().get(&key.name, name).as_deref()));
        carry_out(context, &objects, key, action)
    });
    tokio::join!(work, async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn carry_out<T: Resource>(
    context: &Context,
    objects: &Informer<T>,
    key: ObjectKey,
    action: Option<Action<T>>,
) -> Result<Option<Duration>, Error> {
    let api = context.client.api::<T>(&key.name);
    let written = match action {
        None => return Ok(None),
        Some(Action::Create(object)) => api.create(&object).await,
        Some(Action::Update(object)) => api.update(&object).await,
    };
    match written {
        Ok(object) => {
            objects.note(object);
            Ok(None)
        }
        // Somebody else was faster, or the namespace is going.
        Err(error)
            if error.is_already_exists() || error.is_not_found() || error.is_namespace_terminating() =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a namespace takes new objects.
fn stays(namespace: &Namespace) -> bool {
    namespace.meta().deletion_timestamp.is_none()
        && namespace.status.as_ref().is_none_or(|status| status.phase != "Terminating")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_that_ends_takes_nothing_new() {
        let of = |object| serde_json::from_value::<Namespace>(object).unwrap();
        assert!(stays(&of(json!({"metadata": {"name": "a"}}))));
        assert!(stays(&of(json!({"metadata": {"name": "a"}, "status": {"phase": "Active"}}))));
        assert!(!stays(&of(json!({"metadata": {"name": "a"}, "status": {"phase": "Terminating"}}))));
        let deleted = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert!(!stays(&of(deleted)));
    }
}
