//! Start-up: health, election, then all controllers.

use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use futures::future::{BoxFuture, join_all};
use gantry_client::leader::{Lost, Settings};
use gantry_client::{Client, Config, LeaderElector};
use gantry_telemetry::health::Checks;
use gantry_telemetry::{notify, shutdown};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    Context, Options, bootstrapsigner, clusterroleaggregation, controllers, deployment, disruption,
    endpoints, endpointslice, garbagecollector, namespace, nodeipam, nodelifecycle, podgc, replicaset,
    resourcequota, rootca, serviceaccount, servicecidrs, tokencleaner, volumeprotection,
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
    let authority = root_ca(&options, &config)?;
    let manager = Manager::new(options, Client::new(config)?).root_ca(authority);
    let health = manager.options.common.serve_health(HEALTH, manager.checks(), stop.clone());
    health.await.context("cannot serve health")?;
    notify::ready();
    manager.run(stop).await?;
    notify::stopping();
    Ok(())
}

/// The authority that pods are told of: by default the one that this process itself trusts.
fn root_ca(options: &Options, config: &Config) -> anyhow::Result<Option<String>> {
    if let Some(path) = &options.root_ca_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--root-ca-file {} cannot be read", path.display()))?;
        anyhow::ensure!(
            text.contains("-----BEGIN CERTIFICATE-----"),
            "--root-ca-file {} holds no certificate in PEM",
            path.display()
        );
        return Ok(Some(text));
    }
    let own = config.certificate_authority.clone().map(String::from_utf8).transpose();
    own.context("the kubeconfig's certificate authority is not PEM")
}

/// A controller manager: a candidate, then all controllers.
#[derive(Debug)]
pub struct Manager {
    options: Options,
    client: Client,
    settings: Settings,
    root_ca: Option<Arc<str>>,
    /// Set once it leads.
    context: Arc<OnceLock<Context>>,
}

impl Manager {
    /// Prepares to run.
    #[must_use]
    pub fn new(options: Options, client: Client) -> Self {
        let settings = Settings {
            lease_duration: options.leader_elect_lease_duration,
            renew_deadline: options.leader_elect_renew_deadline,
            retry_period: options.leader_elect_retry_period,
            ..Settings::new(LEASE)
        };
        Self { options, client, settings, root_ca: None, context: Arc::default() }
    }

    /// Sets who it is in the election, where several run in one process.
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Self {
        identity.clone_into(&mut self.settings.identity);
        self
    }

    /// Sets what verifies the API server's certificate in pods; without it, they are not told.
    #[must_use]
    pub fn root_ca(mut self, pem: Option<String>) -> Self {
        self.root_ca = pem.map(Into::into);
        self
    }

    /// What tells whether it works. A candidate that waits is ready: it is what takes over.
    #[must_use]
    pub fn checks(&self) -> Checks {
        let checks = Checks::new();
        let context = self.context.clone();
        checks.readyz("informer-sync", move || match context.get().map(Context::not_synced) {
            Some(waiting) if !waiting.is_empty() => Err(format!("{} not listed yet", waiting.join(", "))),
            _ => Ok(()),
        });
        checks
    }

    /// Runs the controllers, once this process leads, until `stop` or until the lead is lost.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Lost> {
        let Self { options, client, settings, root_ca, context } = self;
        let (elects, candidate) = (options.leader_elect, client.clone());
        let work = async move |until: CancellationToken| {
            control(context.get_or_init(|| Context::start(options, client, root_ca, until))).await;
        };
        if elects {
            LeaderElector::new(&candidate, settings).run(stop, work).await
        } else {
            work(stop).await;
            Ok(())
        }
    }
}

/// Runs all controllers until the context's end.
async fn control(context: &Context) {
    let all: Vec<(&str, BoxFuture<'_, ()>)> = vec![
        ("deployment-controller", Box::pin(deployment::run(context))),
        ("replicaset-controller", Box::pin(replicaset::run(context))),
        ("endpointslice-controller", Box::pin(endpointslice::run(context))),
        ("endpoints-controller", Box::pin(endpoints::run(context))),
        ("node-ipam-controller", Box::pin(nodeipam::run(context))),
        ("node-lifecycle-controller", Box::pin(nodelifecycle::run(context))),
        ("garbage-collector-controller", Box::pin(garbagecollector::run(context))),
        ("namespace-controller", Box::pin(namespace::run(context))),
        ("pod-garbage-collector-controller", Box::pin(podgc::run(context))),
        ("resourcequota-controller", Box::pin(resourcequota::run(context))),
        ("persistentvolumeclaim-protection-controller", Box::pin(volumeprotection::run(context))),
        ("disruption-controller", Box::pin(disruption::run(context))),
        ("clusterrole-aggregation-controller", Box::pin(clusterroleaggregation::run(context))),
        ("serviceaccount-controller", Box::pin(serviceaccount::run(context))),
        ("service-cidr-controller", Box::pin(servicecidrs::run(context))),
        ("root-ca-certificate-publisher-controller", Box::pin(rootca::run(context))),
        ("token-cleaner-controller", Box::pin(tokencleaner::run(context))),
        ("bootstrap-signer-controller", Box::pin(bootstrapsigner::run(context))),
    ];
    let chosen = |name| controllers::runs(&context.options.controllers, name);
    let controllers: Vec<_> =
        all.into_iter().filter(|(name, _)| chosen(name)).map(|(_, controller)| controller).collect();
    info!(controllers = controllers.len(), "controllers started");
    join_all(controllers).await;
}
