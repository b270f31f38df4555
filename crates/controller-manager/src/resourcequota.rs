//! Resource quotas: what is used is counted again, whenever something went and from time to time.
//!
//! The API server charges what is created; this controller gives back what is deleted or has ended, by counting. A
//! count is written only onto the quota that it began with: a charge in between makes it fail and begin anew.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use gantry_api::convert::ruling_kind;
use gantry_api::core::v1::ResourceQuota;
use gantry_api::meta::v1::ListOptions;
use gantry_api::{Kind, Resource, registry};
use gantry_client::{Event, Informer, PodExt, WorkQueue, controller};
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use crate::{Context, Error};

mod decide;

use decide::{Content, count, is_counted_alone, matters};

/// How many namespaces are counted at the same time.
const WORKERS: usize = 5;
/// How often everything is counted again.
const RESYNC: Duration = Duration::from_secs(300);

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = context.released.clone();
    let quotas = Informer::<ResourceQuota>::builder(&context.client).spawn(context.stop.clone());
    let changed = queue.clone();
    quotas.on_event(move |event| match event {
        Event::Modified { old, new } if old.spec == new.spec => {}
        event => {
            if let Some(quota) = event.object() {
                changed.add(quota.namespace().to_owned());
            }
        }
    });
    follow(context, &queue);
    let shutdown = queue.clone();
    tokio::join!(
        controller::run(queue.clone(), WORKERS, |namespace| sync(context, &quotas, namespace)),
        again(context, &quotas, &queue),
        async {
            context.stop.cancelled().await;
            shutdown.shutdown();
        }
    );
}

/// Counts where objects come to use less without being deleted; deletions come through [`Context::released`].
fn follow(context: &Context, queue: &WorkQueue<String>) {
    let ended = queue.clone();
    context.pods.on_event(move |event| {
        if let Event::Modified { old, new } = event
            && new.is_finished()
            && !old.is_finished()
        {
            ended.add(new.namespace().to_owned());
        }
    });
    let services = queue.clone();
    context.services.on_event(move |event| {
        if let Event::Modified { old, new } = event
            && old.spec != new.spec
        {
            services.add(new.namespace().to_owned());
        }
    });
    let claims = queue.clone();
    context.claims.on_event(move |event| {
        if let Event::Modified { old, new } = event
            && (&old.spec, &old.status) != (&new.spec, &new.status)
        {
            claims.add(new.namespace().to_owned());
        }
    });
}

async fn again(context: &Context, quotas: &Informer<ResourceQuota>, queue: &WorkQueue<String>) {
    let mut period = tokio::time::interval(RESYNC);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while context.stop.run_until_cancelled(period.tick()).await.is_some() {
        for quota in quotas.store().list() {
            queue.add(quota.namespace().to_owned());
        }
    }
}

async fn sync(
    context: &Context,
    informer: &Informer<ResourceQuota>,
    namespace: String,
) -> Result<Option<Duration>, Error> {
    if !informer.store().list().iter().any(|quota| quota.namespace() == namespace) {
        return Ok(None);
    }
    let api = context.client.api::<ResourceQuota>(&namespace);
    // Before what they count: a charge since then makes the write fail.
    let quotas = api.list(&ListOptions::default()).await?.items;
    // Each object once, whatever versions it is served in.
    let kinds = registry::all().iter().copied().filter(|kind| ruling_kind(kind) == *kind);
    let kinds = kinds.filter(|kind| quotas.iter().any(|quota| matters(quota, kind)));
    let contents = try_join_all(kinds.map(|kind| content(context, kind, &namespace))).await?;
    let now = Timestamp::now();
    let writes = quotas.into_iter().filter_map(|mut quota| {
        let status = count(&quota, &contents, now);
        (quota.status.as_ref() != Some(&status)).then(|| {
            quota.status = Some(status);
            quota
        })
    });
    let writes: Vec<ResourceQuota> = writes.collect();
    let outcomes = join_all(writes.iter().map(|quota| api.update_status(quota))).await;
    for outcome in outcomes {
        match outcome {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            // Also a conflict: it is counted again.
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// What a namespace has of a kind: the objects where it matters what they are, else how many there are.
async fn content(context: &Context, kind: &'static Kind, namespace: &str) -> Result<Content, Error> {
    let api = context.client.dynamic(kind, namespace);
    if !is_counted_alone(kind) {
        return Ok(Content::Objects(kind, api.list(&ListOptions::default()).await?.items));
    }
    let list = api.list(&ListOptions { limit: 1, ..ListOptions::default() }).await?;
    let rest = list.metadata.remaining_item_count.unwrap_or(0);
    Ok(Content::Number(kind, rest.saturating_add(i64::try_from(list.items.len()).unwrap_or(i64::MAX))))
}
