//! The running proxy: it follows services and endpoint slices and keeps the rules in step.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gantry_api::{Resource, core::v1 as core, discovery::v1 as discovery};
use gantry_client::{Client, Informer};
use gantry_telemetry::health::Checks;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{Metrics, Proxier, convert, model::Cluster};

/// The first wait after a failure; it doubles up to [`MAX_RETRY`].
const MIN_RETRY: Duration = Duration::from_millis(200);
const MAX_RETRY: Duration = Duration::from_secs(30);

/// What the proxy runs on.
#[derive(Debug)]
pub struct Options {
    /// The connection to the API server.
    pub client: Client,
    /// The name of the node whose endpoints are local.
    pub node: String,
    /// What the rules need to know of the cluster.
    pub cluster: Cluster,
    /// The least time between two changes.
    pub min_sync_period: Duration,
    /// The time between two full replacements.
    pub sync_period: Duration,
    /// The proxy's metrics.
    pub metrics: Metrics,
}

/// The proxy of one node.
#[derive(Debug)]
pub struct Service {
    options: Options,
    synced: Arc<AtomicBool>,
}

impl Service {
    /// Prepares the proxy and adds its readiness to `checks`: ready once the rules have been in step.
    pub fn new(options: Options, checks: &Checks) -> Self {
        let synced = Arc::new(AtomicBool::new(false));
        let seen = synced.clone();
        checks.readyz("rules", move || {
            if seen.load(Ordering::Relaxed) { Ok(()) } else { Err("the rules are not in step".to_owned()) }
        });
        Self { options, synced }
    }

    /// Runs until `stop`, and leaves the rules as they are then: services go on working without the proxy.
    pub async fn run(self, stop: CancellationToken) {
        let Self { options, synced } = self;
        let changed = Arc::new(Notify::new());
        let services = follow::<core::Service>(&options.client, &changed, &stop, {
            let metrics = options.metrics.clone();
            move || metrics.service_changed()
        });
        let slices = follow::<discovery::EndpointSlice>(&options.client, &changed, &stop, {
            let metrics = options.metrics.clone();
            move || metrics.endpoints_changed()
        });
        // Rules from half the objects would cut off the other half: what a predecessor left is better.
        tokio::select! {
            () = stop.cancelled() => return,
            () = async { tokio::join!(services.synced(), slices.synced()); } => {}
        }
        let mut proxier = Proxier::new(options.cluster.clone(), options.metrics.clone());
        let mut retry = MIN_RETRY;
        let mut replace_at = Instant::now() + options.sync_period;
        loop {
            let started = Instant::now();
            if started >= replace_at {
                proxier.forget();
                replace_at = started + options.sync_period;
            }
            let (service_list, slice_list) = (services.store().list(), slices.store().list());
            let snapshot = convert::snapshot(
                &options.node,
                service_list.iter().map(AsRef::as_ref),
                slice_list.iter().map(AsRef::as_ref),
            );
            let wait = match proxier.sync(&snapshot).await {
                Ok(outcome) => {
                    tracing::debug!(?outcome, took = ?started.elapsed(), "rules are in step");
                    synced.store(true, Ordering::Relaxed);
                    retry = MIN_RETRY;
                    Wait::ForChange
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        ?retry,
                        "rules are not in step"
                    );
                    synced.store(false, Ordering::Relaxed);
                    let wait = Wait::Until(started + retry);
                    retry = (retry * 2).min(MAX_RETRY);
                    wait
                }
            };
            let next = async {
                match wait {
                    Wait::Until(instant) => sleep_until(instant).await,
                    Wait::ForChange => {
                        tokio::select! {
                            () = changed.notified() => {}
                            () = sleep_until(replace_at) => {}
                        }
                        // The first change after a quiet time is applied at once.
                        sleep_until(started + options.min_sync_period).await;
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
            }
        }
    }
}

/// What the loop does before its next round.
#[derive(Debug, Clone, Copy)]
enum Wait {
    ForChange,
    Until(Instant),
}

/// Starts an informer that wakes the loop.
fn follow<T: Resource>(
    client: &Client,
    changed: &Arc<Notify>,
    stop: &CancellationToken,
    count: impl Fn() + Send + Sync + 'static,
) -> Informer<T> {
    // What no rule follows from need not lie in memory.
    let informer = Informer::<T>::builder(client)
        .transform(|object: &mut T| {
            let meta = object.meta_mut();
            meta.managed_fields.clear();
            meta.annotations.clear();
        })
        .spawn(stop.clone());
    let changed = changed.clone();
    informer.on_event(move |_| {
        count();
        changed.notify_one();
    });
    informer
}
