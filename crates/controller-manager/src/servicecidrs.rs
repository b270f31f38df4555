//! The ranges that services get their addresses from: ready once they are held, and gone only when nobody needs them.

mod decide;

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::networking::v1::{IpAddress, ServiceCidr};
use gantry_api::scalars::Time;
use gantry_client::{Informer, ObjectKey, WorkQueue, controller};

use self::decide::{Action, decide};
use crate::{Context, Error};

const WORKERS: usize = 1;
/// An address may be given just when its range is deleted: before it goes, so much time passes.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("service_cidr");
    let ranges = Informer::<ServiceCidr>::builder(&context.client).spawn(context.stop.clone());
    let addresses = Informer::<IpAddress>::builder(&context.client).spawn(context.stop.clone());
    let (changed, store) = (queue.clone(), ranges.store());
    ranges.on_event(move |_| {
        // Whether one can go depends on the others.
        for range in store.list() {
            changed.add(ObjectKey::of(&*range));
        }
    });
    let (changed, store) = (queue.clone(), ranges.store());
    addresses.on_event(move |_| {
        for range in store.list().iter().filter(|range| range.meta().deletion_timestamp.is_some()) {
            changed.add(ObjectKey::of(&**range));
        }
    });
    if !(ranges.synced().await && addresses.synced().await) {
        return;
    }
    let shutdown = queue.clone();
    tokio::join!(controller::run(queue, WORKERS, |key| sync(context, &ranges, &addresses, key)), async {
        context.stop.cancelled().await;
        shutdown.shutdown();
    });
}

async fn sync(
    context: &Context,
    ranges: &Informer<ServiceCidr>,
    addresses: &Informer<IpAddress>,
    key: ObjectKey,
) -> Result<Option<Duration>, Error> {
    let Some(range) = ranges.store().get_key(&key) else { return Ok(None) };
    let others: Vec<_> = ranges.store().list();
    let api = context.client.api::<ServiceCidr>("");
    let (addresses, now) = (addresses.store().list(), Time::now());
    let written = match decide(&range, &others, &addresses, now, GRACE) {
        Action::Keep => return Ok(None),
        Action::Wait(delay) => return Ok(Some(delay)),
        Action::Write(new) => api.update(&new).await,
        Action::WriteStatus(new) => api.update_status(&new).await,
    };
    match written {
        Ok(new) => {
            if new.meta().deletion_timestamp.is_none() || !new.meta().finalizers.is_empty() {
                ranges.note(new);
            }
            // What is left to do is decided on what was written.
            Ok(Some(Duration::ZERO))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
