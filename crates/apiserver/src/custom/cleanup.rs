//! A definition goes after its objects.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::Kind;
use gantry_api::apiextensions::v1::CustomResourceDefinition;
use gantry_api::custom::CLEANUP;
use gantry_api::meta::v1::{DeleteOptions, GetOptions, ListOptions};
use tokio_util::sync::CancellationToken;

use super::names::{self, TERMINATING};
use super::sync::definition;
use crate::status::{ApiError, Reason};
use crate::verbs::{Next, Target, Verbs};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How often the objects are looked for after all were deleted, before that counts as failed: some have finalizers.
const LOOKS: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Deletes the objects of a definition and lets it go, however often that takes.
pub(super) async fn run(
    verbs: Arc<Verbs>,
    name: String,
    kind: Option<&'static Kind>,
    stop: CancellationToken,
) {
    let mut delay = FIRST_RETRY;
    loop {
        let Some(outcome) = stop.run_until_cancelled(clean(&verbs, &name, kind)).await else { return };
        let Err(error) = outcome else { return };
        // Somebody else was faster. That something else is not found says nothing of the definition.
        if !is_leaving(&verbs, &name).await {
            return;
        }
        tracing::info!(definition = name, %error, ?delay, "custom resources not deleted yet, trying again");
        let message = error.to_string();
        let failed = condition(&verbs, &name, true, "InstanceDeletionFailed", &message);
        if let Err(error) = failed.await {
            tracing::debug!(definition = name, %error, "status not written");
        }
        if stop.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
            return;
        }
        delay = LAST_RETRY.min(delay * 2);
        // Another one of the name may have been made meanwhile, whose objects are to stay.
        if !is_leaving(&verbs, &name).await {
            return;
        }
    }
}

/// Whether the definition is still being deleted, as far as anybody can tell.
async fn is_leaving(verbs: &Verbs, name: &str) -> bool {
    match verbs.get(&definition(name), &GetOptions::default()).await {
        Ok(entry) => entry.object().is_ok_and(|object| object.meta().deletion_timestamp.is_some()),
        Err(error) => error.reason() != Reason::NotFound,
    }
}

async fn clean(verbs: &Verbs, name: &str, kind: Option<&'static Kind>) -> Result<(), ApiError> {
    let Some(kind) = kind else {
        return release(verbs, name, "NeverEstablished", "resource was never established").await;
    };
    let message = "CustomResource deletion is in progress";
    condition(verbs, name, true, "InstanceDeletionInProgress", message).await?;
    // A change of the definition may have replaced it.
    let kind = verbs.custom().cache(kind).map_or(kind, |cache| cache.kind());
    let all = Target { kind, namespace: String::new(), name: String::new() };
    verbs.delete_collection(&all, &DeleteOptions::default(), &ListOptions::default()).await?;
    let any = ListOptions { limit: 1, ..ListOptions::default() };
    for _ in 0..LOOKS {
        if verbs.list(&all, &any).await?.items.is_empty() {
            return release(verbs, name, "InstanceDeletionCompleted", "removed all instances").await;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Err(ApiError::unavailable("instances are left"))
}

async fn condition(
    verbs: &Verbs,
    name: &str,
    holds: bool,
    reason: &str,
    message: &str,
) -> Result<(), ApiError> {
    let target = definition(name);
    let written = verbs.modify(&target, false, |old| {
        let mut new = old.clone_object();
        let Some(definition) = new.downcast_mut::<CustomResourceDefinition>() else { return Ok(Next::Keep) };
        names::set(definition.status.get_or_insert_default(), TERMINATING, holds, reason, message);
        Ok(Next::Put(new))
    });
    written.await.map(drop)
}

/// Takes the finalizer away; if it was the last, the definition is gone.
async fn release(verbs: &Verbs, name: &str, reason: &str, message: &str) -> Result<(), ApiError> {
    condition(verbs, name, false, reason, message).await?;
    let target = definition(name);
    let written = verbs.modify(&target, false, |old| {
        let mut new = old.clone_object();
        let finalizers = &mut new.meta_mut().finalizers;
        finalizers.retain(|finalizer| finalizer != CLEANUP);
        let last = finalizers.is_empty() && new.meta().deletion_timestamp.is_some();
        Ok(if last { Next::Remove } else { Next::Put(new) })
    });
    written.await.map(drop)
}
