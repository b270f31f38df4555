//! Start-up: health, election, then all controllers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use futures::future::{BoxFuture, join_all};
use gantry_client::leader::Settings;
use gantry_client::{Client, Config, LeaderElector};
use gantry_telemetry::{health, notify, shutdown};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    Context, Options, deployment, endpointslice, garbagecollector, namespace, nodeipam, nodelifecycle, podgc,
    replicaset,
};

/// The health port.
const HEALTH: &str = "127.0.0.1:10257";
/// The lease.
const LEASE: &str = "kube-controller-manager";

/// Runs the controllers until SIGTERM, or until the lead is lost.
pub async fn run(options: Options) -> anyhow::Result<()> {
    options.common.init("gantry-controller-manager")?;
    let stop = shutdown();
    let config = Config::from_kubeconfig(&options.kubeconfig)?.user_agent("gantry-controller-manager");
    let client = Client::new(config)?;

    // A candidate that waits is ready: it is what takes over.
    let leading = Arc::new(AtomicBool::new(false));
    let checks = health::Checks::new();
    let is_leading = leading.clone();
    checks.livez("leading", move || {
        let _ = is_leading.load(Ordering::Relaxed);
        Ok(())
    });
    options.common.serve_health(HEALTH, checks, stop.clone()).await.context("cannot serve health")?;
    notify::ready();

    let work = async |until: CancellationToken| {
        leading.store(true, Ordering::Relaxed);
        control(Context::start(options.clone(), client.clone(), until)).await;
    };
    if options.leader_elect {
        let settings = Settings {
            lease_duration: options.leader_elect_lease_duration,
            renew_deadline: options.leader_elect_renew_deadline,
            retry_period: options.leader_elect_retry_period,
            ..Settings::new(LEASE)
        };
        LeaderElector::new(&client, settings).run(stop, work).await?;
    } else {
        work(stop).await;
    }
    notify::stopping();
    Ok(())
}

/// Runs all controllers until the context's end.
async fn control(context: Context) {
    let controllers: Vec<BoxFuture<'_, ()>> = vec![
        Box::pin(deployment::run(&context)),
        Box::pin(replicaset::run(&context)),
        Box::pin(endpointslice::run(&context)),
        Box::pin(nodeipam::run(&context)),
        Box::pin(nodelifecycle::run(&context)),
        Box::pin(garbagecollector::run(&context)),
        Box::pin(namespace::run(&context)),
        Box::pin(podgc::run(&context)),
    ];
    info!(controllers = controllers.len(), "controllers started");
    join_all(controllers).await;
}
