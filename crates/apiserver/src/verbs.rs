//! The verbs of the API, once for gRPC and REST and for every kind.
//!
//! Nothing here knows a protocol: requests come as a [`Target`], options and an object or bytes, and answers are
//! [`Entry`]s, whose bytes and JSON are ready to be sent.

mod apply;
mod binding;
mod create;
mod delete;
mod eviction;
mod finalize;
mod modify;
pub(crate) mod options;
mod ownership;
mod patch;
mod patched;
mod pods;
mod read;
mod scale;
mod update;
mod versions;
mod write;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use gantry_api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use gantry_api::meta::v1::ListMeta;
use gantry_api::{Kind, Resource as _, registry};
use gantry_store::Store;
use gantry_store::keys::Layout;
use parking_lot::RwLock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admission::{Hooks, Plugins, Policies, services};
use crate::cache::{Cache, Entry};
use crate::catalog::Catalog;
use crate::compaction;
use crate::custom::Resources;
use crate::status::ApiError;
use crate::webhook;

pub(crate) use create::generate_name;
pub(crate) use modify::Next;
pub(crate) use read::check_continue_token;

/// What a request is about: an object, or a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The kind of the object or of the collection's objects.
    pub kind: &'static Kind,
    /// The namespace; empty for cluster-scoped kinds and for all namespaces.
    pub namespace: String,
    /// The name; empty for collections.
    pub name: String,
}

/// A list of objects, in the order of their keys.
#[derive(Debug, Clone)]
pub struct List {
    /// Revision, continue token and how many objects follow.
    pub metadata: ListMeta,
    /// The objects.
    pub items: Vec<Arc<Entry>>,
}

/// What a watcher gets.
#[derive(Debug, Clone)]
pub enum WatchItem {
    /// The object is new, or new to the selectors.
    Added(Arc<Entry>),
    /// The object changed.
    Modified(Arc<Entry>),
    /// The object is deleted, or the selectors do not match any more: its last state, at the revision of the change.
    Deleted(Arc<Entry>),
    /// Everything up to the revision has been sent.
    Bookmark {
        /// The revision.
        revision: i64,
        /// Whether this ends the initial events that `sendInitialEvents` asked for.
        initial_events_end: bool,
    },
    /// The watch ends for this reason.
    Error(ApiError),
}

/// Watch items, those that were ready together in one.
pub type WatchStream = BoxStream<'static, Vec<WatchItem>>;

/// How a patch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902: operations.
    Json,
    /// RFC 7386: a partial object.
    Merge,
    /// Kubernetes' own: a partial object whose lists merge by keys.
    StrategicMerge,
}

/// The outcome of a deletion.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// The object: its last state, or its present one where something keeps it.
    pub entry: Arc<Entry>,
    /// Whether it is gone. If not, finalizers or a grace period keep it.
    pub finished: bool,
}

/// What the verbs need to know of the cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The addresses that Services get.
    pub service_cidr: ipnet::IpNet,
    /// The ports that Services get on every node.
    pub node_ports: std::ops::RangeInclusive<u16>,
    /// Where this server is reached, for the endpoints of the `kubernetes` Service.
    pub advertise: (IpAddr, u16),
    /// Below which key everything is stored.
    pub etcd_prefix: String,
    /// How long events are kept; zero for ever.
    pub event_ttl: Duration,
    /// How long pods stay on nodes that are not well.
    pub tolerations: Tolerations,
    /// The admission plugins that are on.
    pub plugins: Plugins,
}

/// How long a pod that says nothing stays on a node that is not well, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerations {
    /// On a node that is not ready.
    pub not_ready: i64,
    /// On a node that is not reachable.
    pub unreachable: i64,
}

impl Default for Tolerations {
    fn default() -> Self {
        Self { not_ready: 300, unreachable: 300 }
    }
}

/// The verbs, over a store.
pub struct Verbs {
    store: Arc<dyn Store>,
    settings: Settings,
    caches: HashMap<&'static str, Arc<Cache>>,
    /// The custom resources.
    custom: Resources,
    catalog: RwLock<Arc<Catalog>>,
    hooks: Hooks,
    policies: Policies,
    mutating_policies: Policies,
    webhooks: webhook::Client,
}

impl Verbs {
    /// The verbs over `store`. Nothing is served before [`Verbs::run`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: Settings) -> Arc<Self> {
        let layout = Layout::new(&settings.etcd_prefix);
        let cache = |kind: &'static Kind| {
            let keys = layout.resource(kind.group, kind.plural);
            (kind.message, Cache::new(kind, keys, store.clone()))
        };
        let caches: HashMap<_, _> = registry::all().iter().copied().map(cache).collect();
        let of = |kind: &'static Kind| match caches.get(kind.message) {
            Some(cache) => Arc::clone(cache),
            None => cache(kind).1,
        };
        let hooks =
            Hooks::new(of(MutatingWebhookConfiguration::kind()), of(ValidatingWebhookConfiguration::kind()));
        let policies = Policies::validating(
            of(ValidatingAdmissionPolicy::kind()),
            of(ValidatingAdmissionPolicyBinding::kind()),
        );
        let mutating_policies = Policies::mutating(
            of(MutatingAdmissionPolicy::kind()),
            of(MutatingAdmissionPolicyBinding::kind()),
        );
        let catalog = RwLock::new(Arc::new(Catalog::new([])));
        let webhooks = webhook::Client::default();
        Arc::new(Self {
            store,
            settings,
            caches,
            custom: Resources::default(),
            catalog,
            hooks,
            policies,
            mutating_policies,
            webhooks,
        })
    }

    /// Keeps the caches filled until the token is cancelled.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        for cache in self.caches.values() {
            tasks.spawn(cache.clone().run(shutdown.clone()));
        }
        let (store, stop) = (self.store.clone(), shutdown.clone());
        tasks.spawn(async move { compaction::run(&*store, stop).await });
        let (verbs, stop) = (self.clone(), shutdown.clone());
        tasks.spawn(async move { crate::custom::run(&verbs, stop).await });
        let (verbs, stop) = (self.clone(), shutdown.clone());
        tasks.spawn(async move { services::repair::run_objects(&verbs, stop).await });
        let verbs = self.clone();
        tasks.spawn(async move { services::repair::run(&verbs, shutdown).await });
        tasks.join_all().await;
    }

    /// The resources that cannot be read yet; empty once everything is served.
    #[must_use]
    pub fn not_ready(&self) -> Vec<&'static str> {
        let caches = self.caches.values().filter(|cache| !cache.is_filled());
        let mut missing: Vec<_> = caches.map(|cache| cache.kind().plural).collect();
        if !self.custom.are_known() {
            missing.push("custom resources");
        }
        missing.sort_unstable();
        missing
    }

    /// The webhooks that admit requests.
    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// The policies that admit requests.
    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The policies that change objects.
    pub(crate) fn mutating_policies(&self) -> &Policies {
        &self.mutating_policies
    }

    /// The connections to webhooks.
    pub(crate) fn webhook_client(&self) -> &webhook::Client {
        &self.webhooks
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The full key of what is no object.
    pub(crate) fn stored_key(&self, key: &str) -> String {
        format!("/{}/{key}", self.settings.etcd_prefix.trim_matches('/'))
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The kinds that are served now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().clone()
    }

    /// Serves these custom resources beside the registry's kinds from now on.
    pub(crate) fn serve(&self, custom: impl IntoIterator<Item = &'static Kind>) {
        let next = self.catalog().with(custom);
        *self.catalog.write() = Arc::new(next);
    }

    pub(crate) fn custom(&self) -> &Resources {
        &self.custom
    }

    /// An empty cache of a custom resource.
    pub(crate) fn new_cache(&self, kind: &'static Kind) -> Arc<Cache> {
        let layout = Layout::new(&self.settings.etcd_prefix);
        Cache::new(kind, layout.resource(kind.group, kind.plural), self.store.clone())
    }

    pub(crate) fn cache(&self, kind: &'static Kind) -> Result<Arc<Cache>, ApiError> {
        if kind.is_custom() {
            // It has vanished since the request began.
            let cache = self.custom.cache(kind).ok_or_else(ApiError::no_resource)?;
            // It was replaced: an object of the one that it was would be neither pruned nor checked.
            if kind.definition().is_none() {
                return Err(ApiError::unavailable("the resource has changed, please try again"));
            }
            return Ok(cache);
        }
        let missing = || ApiError::internal(format_args!("{} has no storage", kind.plural));
        self.caches.get(kind.message).cloned().ok_or_else(missing)
    }
}
