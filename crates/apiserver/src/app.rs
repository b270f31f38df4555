//! The whole server: built from its options, run until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gantry_store::Store;
use gantry_telemetry::health::Checks;
use tokio_util::sync::CancellationToken;

use crate::aggregation::{IdentityError, Keeper, Published, Registration, Remotes};
use crate::authorization::Authorizer;
use crate::authorization::bootstrap::{Defaults, TableError};
use crate::bootstrap;
use crate::flow::Flow;
use crate::grpc;
use crate::nodes::{NodeTlsError, Nodes};
use crate::options::{self, Options};
use crate::pipeline::{self, Authentication, Concurrency, FrontProxies, InFlight};
use crate::readiness;
use crate::rest;
use crate::server::{self, Server};
use crate::split::Split;
use crate::status::ApiError;
use crate::tokens::{Authenticator, FileError, Issuer, KeyError, StaticTokens};
use crate::verbs::Verbs;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be served.
    #[error(transparent)]
    Server(#[from] server::Error),
    /// Options do not fit.
    #[error(transparent)]
    Options(#[from] options::Error),
    /// The files for connections to kubelets cannot be used.
    #[error(transparent)]
    Nodes(#[from] NodeTlsError),
    /// The certificate for servers behind this one cannot be used.
    #[error(transparent)]
    ProxyClient(#[from] IdentityError),
    /// The gRPC services cannot be made.
    #[error(transparent)]
    Grpc(#[from] grpc::Error),
    /// The default roles cannot be read.
    #[error(transparent)]
    Roles(#[from] TableError),
    /// A key of tokens cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The file of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] FileError),
    /// A kind that decides about requests is not served.
    #[error(transparent)]
    Authorizer(#[from] ApiError),
}

/// A server whose port is bound.
pub struct App {
    server: Server,
    verbs: Arc<Verbs>,
    nodes: Nodes,
    authorizer: Arc<Authorizer>,
    authenticator: Arc<Authenticator>,
    defaults: Arc<Defaults>,
    flow: Arc<Flow>,
    registration: Arc<Registration>,
    remotes: Arc<Remotes>,
    published: Published,
    front_proxies: Arc<FrontProxies>,
    request_timeout: Duration,
    /// Whether requests are treated by their priority levels; by their mere number if not.
    fair: bool,
    limits: (usize, usize),
    /// Where others find the keys that verify tokens.
    keys: String,
}

impl App {
    /// Binds the port and prepares the rest. etcd need not be there: until it is, nothing is ready.
    pub async fn build(options: &Options) -> Result<Self, Error> {
        Self::over(options.store().await?, options)
    }

    /// The same over a store that is there already, whatever the options say of one.
    pub fn over(store: Arc<dyn Store>, options: &Options) -> Result<Self, Error> {
        let server = Server::bind(&options.addresses(), &options.tls())?;
        let nodes = Nodes::new(&options.node_tls())?;
        let port = server.addresses().first().map_or(options.secure_port, SocketAddr::port);
        let verbs = Verbs::new(store, options.settings(port)?);
        let defaults = Arc::new(Defaults::load()?);
        let authorizer = Arc::new(Authorizer::new(&verbs, &defaults)?);
        let issuer = Issuer::load(&options.tokens())?.map(Arc::new);
        let file =
            options.token_auth_file.as_deref().map(StaticTokens::load).transpose()?.unwrap_or_default();
        let limits = (options.max_requests_inflight, options.max_mutating_requests_inflight);
        let registration = Registration::new(Arc::clone(&verbs));
        let remotes = Remotes::new(Arc::clone(&verbs), options.proxy_client()?)?;
        let flow = Flow::new(Arc::clone(&verbs), options.concurrency());
        let authenticator = Authenticator::new(Arc::clone(&verbs), issuer, file)
            .with_bootstrap_tokens(options.enable_bootstrap_token_auth);
        let authenticator = Arc::new(authenticator);
        Ok(Self {
            server,
            verbs,
            nodes,
            authorizer,
            authenticator,
            defaults,
            flow,
            registration,
            remotes,
            published: options.published()?,
            front_proxies: Arc::new(FrontProxies::new(options.request_headers())),
            request_timeout: options.request_timeout,
            fair: options.enable_priority_and_fairness,
            limits,
            keys: options.service_account_jwks_uri.clone(),
        })
    }

    /// The addresses that are listened on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses()
    }

    /// The server's checks: for `/readyz` here, and for the service manager.
    #[must_use]
    pub fn checks(&self) -> Checks {
        readiness::checks(&self.verbs, &self.authorizer, &self.flow, self.fair, &self.registration)
    }

    /// Serves until `stop`, then drains.
    pub async fn run(self, checks: Checks, stop: CancellationToken) -> Result<(), Error> {
        let services =
            grpc::Services { verbs: Arc::clone(&self.verbs), nodes: self.nodes.clone(), stop: stop.clone() };
        let grpc = grpc::routes(services)?;
        let fair = self.fair.then(|| Arc::clone(&self.flow));
        let concurrency = match fair.clone() {
            Some(flow) => Concurrency::Fair(flow),
            None => Concurrency::Plain(InFlight::new(self.limits)),
        };
        let verbs = Arc::clone(&self.verbs);
        let remotes = Arc::clone(&self.remotes);
        let rest = rest::Rest::new(verbs, self.nodes, remotes, checks, fair.clone(), self.keys, stop.clone());
        let authorizer = Arc::clone(&self.authorizer);
        let authentication = Authentication::new(authorizer, self.authenticator, self.front_proxies);
        let remotes = Arc::clone(&self.remotes);
        let split = Split::new(grpc, rest);
        let service = pipeline::wrap(split, authentication, concurrency, self.request_timeout, remotes);
        // The caches and the store outlive the drain: requests under way still need them.
        let end = CancellationToken::new();
        let caches = tokio::spawn(Arc::clone(&self.verbs).run(end.clone()));
        let verbs = Arc::clone(&self.verbs);
        let (authorizer, defaults, stopping) = (self.authorizer, self.defaults, stop.clone());
        let published = self.published;
        let bootstrap = tokio::spawn(async move {
            bootstrap::run(&verbs, &authorizer, &defaults, &published, stopping).await;
        });
        let keeper = Keeper::new(Arc::clone(&self.verbs), self.remotes);
        let keeping = tokio::spawn(keeper.run(stop.clone()));
        let (flow, stopping) = (self.flow, stop.clone());
        let levels = tokio::spawn(async move {
            let following = async {
                if let Some(flow) = fair {
                    flow.follow(stopping.clone()).await;
                }
            };
            tokio::join!(following, flow.maintain(stopping.clone()));
        });
        let (registration, stopping) = (self.registration, stop.clone());
        let registering = tokio::spawn(async move { registration.run(stopping).await });
        self.server.run(service, stop).await;
        end.cancel();
        for (what, task) in [
            ("bootstrap", bootstrap),
            ("priority levels", levels),
            ("registration", registering),
            ("availability of APIServices", keeping),
            ("watch caches", caches),
        ] {
            if let Err(error) = task.await {
                tracing::error!(%error, what, "a background task ended badly");
            }
        }
        Ok(())
    }
}
