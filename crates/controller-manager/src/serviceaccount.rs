//! The service account `default` of each namespace, which pods have that name no other.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::{Namespace, ServiceAccount};
use gantry_api::meta::v1::ObjectMeta;
use gantry_client::{Event, Informer, ObjectKey, WorkQueue, controller};

use crate::{Context, Error};

/// The name of the account.
const DEFAULT: &str = "default";
/// How many namespaces are looked at side by side.
const WORKERS: usize = 2;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("serviceaccount");
    let namespaces = Informer::<Namespace>::builder(&context.client).spawn(context.stop.clone());
    let accounts = Informer::<ServiceAccount>::builder(&context.client)
        .field_selector(&format!("metadata.name={DEFAULT}"))
        .spawn(context.stop.clone());
    let changed = queue.clone();
    namespaces.on_event(move |event| {
        if let Some(namespace) = event.object() {
            changed.add(ObjectKey::of(&**namespace));
        }
    });
    let lost = queue.clone();
    accounts.on_event(move |event| {
        if let Event::Deleted(account) = event {
            lost.add(ObjectKey::new("", account.namespace()));
        }
    });
    // An account that is not known yet would be made again, and refused.
    if !accounts.synced().await {
        return;
    }
    let shutdown = queue.clone();
    let work = controller::run(queue, WORKERS, |key| sync(context, &namespaces, &accounts, key));
    tokio::join!(work, async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn sync(
    context: &Context,
    namespaces: &Informer<Namespace>,
    accounts: &Informer<ServiceAccount>,
    key: ObjectKey,
) -> Result<Option<Duration>, Error> {
    let Some(namespace) = namespaces.store().get_key(&key) else { return Ok(None) };
    let there = accounts.store().get(&key.name, DEFAULT).is_some();
    let Some(account) = reconcile(&namespace, there) else { return Ok(None) };
    match context.client.api::<ServiceAccount>(&key.name).create(&account).await {
        Ok(made) => {
            accounts.note(made);
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

/// The account that the namespace lacks.
fn reconcile(namespace: &Namespace, there: bool) -> Option<ServiceAccount> {
    let leaves = namespace.meta().deletion_timestamp.is_some()
        || namespace.status.as_ref().is_some_and(|status| status.phase == "Terminating");
    (!there && !leaves).then(|| ServiceAccount {
        metadata: Some(ObjectMeta {
            name: DEFAULT.to_owned(),
            namespace: namespace.name().to_owned(),
            ..ObjectMeta::default()
        }),
        ..ServiceAccount::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_that_stays_has_an_account() {
        let of = |phase: &str| -> Namespace {
            serde_json::from_value(json!({"metadata": {"name": "a"}, "status": {"phase": phase}})).unwrap()
        };
        let account = reconcile(&of("Active"), false).unwrap();
        assert_eq!((account.namespace(), account.name()), ("a", "default"));
        assert_eq!(reconcile(&of("Active"), true), None);
        assert_eq!(reconcile(&of("Terminating"), false), None);
    }
}
