//! Who serves which group and version: an APIService for each one that this server does, kept as they come and go, and
//! the servers behind this one that serve others.
//!
//! What decides is in [`local`], [`availability`], [`place`] and [`asked`], without I/O.

mod asked;
mod availability;
mod connection;
mod discovery;
mod keep;
mod local;
mod openapi;
mod place;
mod published;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use gantry_api::apiextensions::v1::CustomResourceDefinition;
use gantry_api::apiregistration::v1::ApiService;
use gantry_api::meta::v1::{CreateOptions, DeleteOptions, Preconditions, UpdateOptions};
use gantry_api::{Resource, registry};
use tokio_util::sync::CancellationToken;

pub(crate) use self::asked::Asked;
pub(crate) use self::connection::{Identity, IdentityError};
pub(crate) use self::discovery::Merged;
pub(crate) use self::keep::Keeper;
use self::local::{Change, Served};
pub(crate) use self::published::Published;
pub(crate) use self::remote::{Failure, Remote, Remotes, write_user};
use crate::cache::{Entry, Selection, Start};
use crate::status::{ApiError, Reason};
use crate::verbs::{Target, Verbs, WatchItem, WatchStream};

/// How long one watch lasts before it begins anew.
const WATCH: Duration = Duration::from_secs(3600);
/// How long to wait after something could not be written.
const PAUSE: Duration = Duration::from_millis(200);

/// Keeps the APIServices of what this server serves.
pub(crate) struct Registration {
    verbs: Arc<Verbs>,
    /// Whether those of the server's own kinds have been made: later, they are the administrator's.
    complete: AtomicBool,
}

impl Registration {
    pub(crate) fn new(verbs: Arc<Verbs>) -> Arc<Self> {
        Arc::new(Self { verbs, complete: AtomicBool::new(false) })
    }

    /// Whether all of them have been made.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Keeps them until the token is cancelled.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        loop {
            match stop.run_until_cancelled(self.follow()).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::warn!(%error, "APIServices cannot be kept yet"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn follow(&self) -> Result<(), ApiError> {
        let mut definitions = self.watch::<CustomResourceDefinition>().await?;
        let mut services = self.watch::<ApiService>().await?;
        loop {
            self.take().await?;
            self.complete.store(true, Ordering::Release);
            let items = tokio::select! {
                items = definitions.next() => items,
                items = services.next() => items,
            };
            match items {
                Some(items) if !items.iter().any(|item| matches!(item, WatchItem::Error(_))) => {}
                _ => return Ok(()),
            }
        }
    }

    async fn watch<T: Resource>(&self) -> Result<WatchStream, ApiError> {
        let cache = self.verbs.cache(T::kind())?;
        cache.catch_up().await?;
        let revision = cache.list(&Selection::default(), None, 0)?.revision;
        Ok(cache.watch(Selection::default(), Start::After(revision), false, WATCH))
    }

    fn all<T: Resource + Clone>(&self) -> Result<Vec<T>, ApiError> {
        let page = self.verbs.cache(T::kind())?.list(&Selection::default(), None, 0)?;
        let read = |entry: &Arc<Entry>| entry.object().ok()?.downcast_ref::<T>().cloned();
        Ok(page.items.iter().filter_map(read).collect())
    }

    async fn take(&self) -> Result<(), ApiError> {
        let definitions: Vec<CustomResourceDefinition> = self.all()?;
        let mut served = BTreeMap::new();
        for spec in definitions.iter().filter_map(|definition| definition.spec.as_ref()) {
            for version in spec.versions.iter().filter(|version| version.served) {
                served.insert(
                    local::name(&spec.group, &version.name),
                    Served::custom(&spec.group, &version.name),
                );
            }
        }
        // Whatever others define there: the server's own kinds are its own.
        for kind in
            registry::all().iter().chain(registry::reviews()).filter(|kind| local::is_named(kind.group))
        {
            served.insert(local::name(kind.group, kind.version), Served::own(kind.group, kind.version));
        }
        let found: Vec<ApiService> = self.all()?;
        for change in local::changes(&served, &found, !self.is_complete()) {
            self.write(change).await?;
        }
        Ok(())
    }

    async fn write(&self, change: Change) -> Result<(), ApiError> {
        let target = |service: &ApiService| Target {
            kind: ApiService::kind(),
            namespace: String::new(),
            name: service.name().to_owned(),
        };
        let verbs = &self.verbs;
        let written = match change {
            Change::Create(service) => {
                let target = target(&service);
                verbs.create(&target, service, &CreateOptions::default()).await.map(drop)
            }
            Change::Update(service) => {
                let target = target(&service);
                verbs.update(&target, None, service, &UpdateOptions::default()).await.map(drop)
            }
            Change::Delete(service) => {
                let same =
                    Preconditions { uid: Some(service.meta().uid.clone()), ..Preconditions::default() };
                let options = DeleteOptions { preconditions: Some(same), ..DeleteOptions::default() };
                verbs.delete(&target(&service), &options).await.map(drop)
            }
        };
        match written {
            // Somebody else was faster; what they did comes by the watch.
            Err(error)
                if matches!(error.reason(), Reason::AlreadyExists | Reason::Conflict | Reason::NotFound) =>
            {
                Ok(())
            }
            written => written,
        }
    }
}
