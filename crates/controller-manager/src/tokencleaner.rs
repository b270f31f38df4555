//! Deletes the bootstrap tokens whose time is over.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Secret;
use gantry_api::meta::v1::{DeleteOptions, Preconditions};
use gantry_client::{Informer, ObjectKey, WorkQueue, controller};
use jiff::Timestamp;

use crate::bootstraptoken::{self, Lifetime, lifetime};
use crate::{Context, Error};

const WORKERS: usize = 1;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("token_cleaner");
    let secrets = bootstraptoken::secrets(context);
    let changed = queue.clone();
    secrets.on_event(move |event| {
        if let Some(secret) = event.object() {
            changed.add(ObjectKey::of(&**secret));
        }
    });
    if !secrets.synced().await {
        return;
    }
    let shutdown = queue.clone();
    tokio::join!(controller::run(queue, WORKERS, |key| sync(context, &secrets, key)), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn sync(
    context: &Context,
    secrets: &Informer<Secret>,
    key: ObjectKey,
) -> Result<Option<Duration>, Error> {
    let Some(secret) = secrets.store().get_key(&key) else { return Ok(None) };
    let now = Timestamp::now();
    match lifetime(&secret, now) {
        Lifetime::Endless => return Ok(None),
        Lifetime::Until(end) => return Ok(Some(end.duration_since(now).unsigned_abs())),
        Lifetime::Over => {}
    }
    // One of the same name that was made meanwhile is another.
    let preconditions = Preconditions { uid: Some(secret.meta().uid.clone()), resource_version: None };
    let options = DeleteOptions { preconditions: Some(preconditions), ..DeleteOptions::default() };
    match context.client.api::<Secret>(secret.namespace()).delete(secret.name(), &options).await {
        Ok(_) => {
            tracing::info!(secret = secret.name(), "the time of a bootstrap token is over: deleted");
            Ok(None)
        }
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
