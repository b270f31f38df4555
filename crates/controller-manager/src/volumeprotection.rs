//! Claims and volumes that are being deleted go once nothing uses them.
//!
//! The API server puts a finalizer on each; this controller takes it off: of a claim when no pod that has a node names
//! it, of a volume when it is not bound.

use gantry_api::Resource;
use gantry_api::core::v1::{PersistentVolume, Pod};
use gantry_api::meta::v1::ListOptions;
use gantry_client::{Event, Informer, ObjectKey, WorkQueue, controller};
use tracing::info;

use crate::{Context, Error};

mod decide;

use decide::{CLAIM, VOLUME, is_bound, is_leaving, uses};

/// How many are looked at side by side.
const WORKERS: usize = 2;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    tokio::join!(protect_claims(context), protect_volumes(context));
}

async fn protect_claims(context: &Context) {
    let queue = WorkQueue::new("pvc_protection");
    let changed = queue.clone();
    context.claims.on_event(move |event| {
        if let Some(claim) = event.object().filter(|claim| is_leaving(claim.meta(), CLAIM)) {
            changed.add(ObjectKey::of(&**claim));
        }
    });
    let (freed, claims) = (queue.clone(), context.claims.store());
    context.pods.on_event(move |event| {
        if let Event::Deleted(pod) = event {
            let leaving = claims.list().into_iter().filter(|claim| is_leaving(claim.meta(), CLAIM));
            for claim in leaving.filter(|claim| claim.namespace() == pod.namespace()) {
                freed.add(ObjectKey::of(&*claim));
            }
        }
    });
    let work = |key: ObjectKey| async move {
        let Some(claim) = context.claims.store().get_key(&key) else { return Ok(None) };
        if !is_leaving(claim.meta(), CLAIM) {
            return Ok(None);
        }
        // Asked of the server: a pod may be there that the informer does not have yet.
        let pods = context.client.api::<Pod>(&key.namespace).list(&ListOptions::default()).await?;
        if !pods.items.iter().any(|pod| uses(pod, &claim)) {
            release(context, &*claim, CLAIM).await?;
        }
        Ok::<_, Error>(None)
    };
    let shutdown = queue.clone();
    tokio::join!(controller::run(queue, WORKERS, work), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn protect_volumes(context: &Context) {
    let queue = WorkQueue::new("pv_protection");
    let volumes = Informer::<PersistentVolume>::builder(&context.client).spawn(context.stop.clone());
    let changed = queue.clone();
    volumes.on_event(move |event| {
        if let Some(volume) = event.object().filter(|volume| is_leaving(volume.meta(), VOLUME)) {
            changed.add(ObjectKey::of(&**volume));
        }
    });
    let volumes = &volumes;
    let work = |key: ObjectKey| async move {
        let Some(volume) = volumes.store().get_key(&key) else { return Ok(None) };
        if is_leaving(volume.meta(), VOLUME) && !is_bound(&volume) {
            release(context, &*volume, VOLUME).await?;
        }
        Ok::<_, Error>(None)
    };
    let shutdown = queue.clone();
    tokio::join!(controller::run(queue, WORKERS, work), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

/// Takes the finalizer off. The revision makes this fail where the informer is behind.
async fn release<T: Resource>(context: &Context, object: &T, finalizer: &str) -> Result<(), Error> {
    info!(
        kind = T::kind().kind,
        name = object.name(),
        namespace = object.namespace(),
        "nothing uses it any more"
    );
    let mut next = object.clone();
    next.meta_mut().finalizers.retain(|present| present != finalizer);
    match context.client.api::<T>(object.namespace()).update(&next).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
