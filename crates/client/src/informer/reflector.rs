//! What keeps a store equal to the API server's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::Kind;
use gantry_api::grpc::api::EventType;
use gantry_api::meta::v1::ListOptions;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{ObjectKey, Shared, Store, Stored};
use crate::watch::RawWatch;
use crate::{Backoff, Client, Error, api};

/// Objects per page: a large cluster's list must not be one message.
const PAGE: i64 = 2000;
/// A watch that lives as long as this was a success, whatever ended it.
const HEALTHY: Duration = Duration::from_secs(5);
/// How long a watch lives before the API server ends it, and the informer resumes: half of that to all of it.
const WATCH_SECONDS: i64 = 600;

pub(super) struct Reflector<T> {
    pub(super) client: Client,
    pub(super) kind: &'static Kind,
    pub(super) namespace: String,
    pub(super) options: ListOptions,
    pub(super) shared: Arc<Shared<T>>,
}

/// Why a watch ended.
enum End {
    /// The API server closed it: resume.
    Closed,
    /// It broke: resume after a pause.
    Failed(Error),
    /// The revision is too old: list again.
    Gone,
}

impl<T: Stored> Reflector<T> {
    pub(super) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.follow()).await;
        self.shared.subscribers.lock().take();
    }

    async fn follow(&self) {
        let kind = self.kind.plural;
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            let mut revision = match self.list().await {
                Ok(revision) => revision,
                Err(error) => {
                    warn!(kind, error = &error as &dyn std::error::Error, "cannot list; will retry");
                    tokio::time::sleep(backoff.next_delay()).await;
                    continue;
                }
            };
            self.shared.synced.send_replace(true);
            loop {
                let start = Instant::now();
                let end = self.watch(&mut revision).await;
                if start.elapsed() >= HEALTHY {
                    backoff.reset();
                }
                match end {
                    Ok(End::Gone) => {
                        debug!(kind, revision, "the revision is too old; listing again");
                        tokio::time::sleep(backoff.next_delay()).await;
                        break;
                    }
                    Ok(End::Closed) => {
                        if start.elapsed() < HEALTHY {
                            tokio::time::sleep(backoff.next_delay()).await;
                        }
                    }
                    Ok(End::Failed(error)) | Err(error) => {
                        debug!(
                            kind,
                            revision,
                            error = &error as &dyn std::error::Error,
                            "watch broke; will resume"
                        );
                        tokio::time::sleep(backoff.next_delay()).await;
                    }
                }
            }
        }
    }

    /// Takes over all objects, removes those that are gone, and says the revision.
    async fn list(&self) -> Result<i64, Error> {
        let at = || api::reference(self.kind, &self.namespace, "", "");
        let mut options = ListOptions { limit: PAGE, ..self.options.clone() };
        let mut seen = HashSet::new();
        loop {
            let page = api::list(&self.client, at(), &options).await?;
            for item in &page.items {
                if let Some(object) = self.decode(item) {
                    seen.insert(ObjectKey::of_meta(object.metadata()));
                    self.shared.apply(|store| store.upsert(object));
                }
            }
            let metadata = page.metadata.unwrap_or_default();
            if metadata.r#continue.is_empty() {
                let revision: i64 = metadata
                    .resource_version
                    .parse()
                    .map_err(|_| Error::Incomplete { missing: "the list's resource version" })?;
                self.shared.store.forget_tombstones();
                for key in self.shared.store.keys() {
                    if !seen.contains(&key) {
                        // What is newer than the list was noted by this process meanwhile.
                        let is_old =
                            |store: &Store<T>| store.revision(&key).is_some_and(|own| own <= revision);
                        self.shared
                            .apply(|store| if is_old(store) { store.remove(&key, None) } else { None });
                    }
                }
                self.shared.reached(revision);
                return Ok(revision);
            }
            options.r#continue = metadata.r#continue;
        }
    }

    /// Follows changes after `revision`, which moves along.
    async fn watch(&self, revision: &mut i64) -> Result<End, Error> {
        let options = ListOptions {
            resource_version: revision.to_string(),
            allow_watch_bookmarks: true,
            timeout_seconds: Some(rand::random_range(WATCH_SECONDS / 2..=WATCH_SECONDS)),
            ..self.options.clone()
        };
        let at = api::reference(self.kind, &self.namespace, "", "");
        let mut watch = match RawWatch::open(&self.client, api::watch_request(at, &options)).await {
            Ok(watch) => watch,
            Err(error) if error.is_gone() => return Ok(End::Gone),
            Err(error) => return Err(error),
        };
        loop {
            let event = match watch.next().await {
                None => return Ok(End::Closed),
                Some(Err(error)) if error.is_gone() => return Ok(End::Gone),
                Some(Err(error)) => return Ok(End::Failed(error)),
                Some(Ok(event)) => event,
            };
            match event.r#type() {
                EventType::Added | EventType::Modified => {
                    if let Some(object) = self.decode(&event.object) {
                        self.shared.apply(|store| store.upsert(object));
                    }
                }
                EventType::Deleted => {
                    if let Some(object) = self.decode(&event.object) {
                        let key = ObjectKey::of_meta(object.metadata());
                        self.shared.apply(|store| store.remove(&key, Some(object)));
                    }
                }
                EventType::Bookmark => {}
                EventType::Error | EventType::Unspecified => {
                    return Err(Error::Incomplete { missing: "the type of a watch event" });
                }
            }
            *revision = event.revision.max(*revision);
            self.shared.reached(*revision);
        }
    }

    /// One object that cannot be read must not hide all others.
    fn decode(&self, bytes: &Bytes) -> Option<T> {
        match api::decode::<T>(bytes) {
            Ok(mut object) => {
                self.shared.lighten(&mut object);
                Some(object)
            }
            Err(error) => {
                error!(
                    kind = self.kind.plural,
                    error = &error as &dyn std::error::Error,
                    "an object cannot be decoded and is left out"
                );
                None
            }
        }
    }
}
