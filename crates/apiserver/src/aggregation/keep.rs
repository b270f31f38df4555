//! Keeps what is known of the servers behind this one: whether each is available, and what it serves.
//!
//! Each is asked when its APIService, its Service or its endpoints change, and from time to time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use gantry_api::Resource;
use gantry_api::apiregistration::v1::ApiService;
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;
use gantry_api::scalars::Time;
use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::availability::{self, Verdict};
use super::discovery::{self, Found, Schema};
use super::openapi;
use super::remote::{OF_SERVICE, Remote, Remotes};
use crate::cache::{Entry, Selection, Start};
use crate::metrics;
use crate::status::{ApiError, Reason};
use crate::verbs::{Next, Target, Verbs, WatchItem, WatchStream};

/// How long one watch lasts before it begins anew.
const WATCH: Duration = Duration::from_secs(3600);
/// How long to wait after the changes could not be followed.
const PAUSE: Duration = Duration::from_millis(200);
/// How often one is asked to which nothing happens.
const AGAIN: Duration = Duration::from_secs(30);
/// How soon one is asked again that failed; each further time, twice as long, as far as [`AGAIN`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How many are asked at once.
const AT_ONCE: usize = 16;
/// How long a document may take, and how large it may be.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(5);
const OPENAPI_LIMIT: Duration = Duration::from_secs(10);
const MAX_DOCUMENT: usize = 16 << 20;
const JSON: &str = "application/json";
/// The forms of discovery, the preferred one first.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// Keeps what is known of the servers behind this one.
#[derive(Clone)]
pub(crate) struct Keeper {
    verbs: Arc<Verbs>,
    remotes: Arc<Remotes>,
}

/// When an APIService is looked at.
struct Due {
    /// As it was when it was looked at last.
    remote: Option<Arc<Remote>>,
    at: Instant,
    running: bool,
    failures: u32,
}

impl Keeper {
    pub(crate) fn new(verbs: Arc<Verbs>, remotes: Arc<Remotes>) -> Self {
        Self { verbs, remotes }
    }

    /// Keeps it until the token is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            match stop.run_until_cancelled(self.follow()).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(%error, "APIServices cannot be followed yet"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn follow(&self) -> Result<(), ApiError> {
        let mut objects = self.watch::<ApiService>().await?;
        let mut services = self.watch::<Service>().await?;
        let mut slices = self.watch::<EndpointSlice>().await?;
        let mut due = BTreeMap::new();
        self.update(&mut due)?;
        // Ended with this: what is begun anew asks anew.
        let mut asking: JoinSet<(String, bool)> = JoinSet::new();
        loop {
            let now = Instant::now();
            let ready = due.iter_mut().filter(|(_, due): &(&String, &mut Due)| !due.running && due.at <= now);
            for (name, due) in ready.take(AT_ONCE.saturating_sub(asking.len())) {
                due.running = true;
                due.at = now + AGAIN;
                let (keeper, name) = (self.clone(), name.clone());
                asking.spawn(async move {
                    let passed = keeper.check(&name).await;
                    (name, passed)
                });
            }
            let full = asking.len() >= AT_ONCE;
            let next = due.values().filter(|due| !due.running && !full).map(|due| due.at).min();
            let next = next.unwrap_or(now + AGAIN);
            tokio::select! {
                items = objects.next() => {
                    let Some(_) = intact(items) else { return Ok(()) };
                    self.update(&mut due)?;
                }
                items = services.next() => {
                    let Some(items) = intact(items) else { return Ok(()) };
                    self.touch(&mut due, &items, |entry| Some(entry.name()));
                }
                items = slices.next() => {
                    let Some(items) = intact(items) else { return Ok(()) };
                    self.touch(&mut due, &items, |entry| entry.label(OF_SERVICE));
                }
                Some(done) = asking.join_next() => match done {
                    Ok((name, passed)) => {
                        if let Some(due) = due.get_mut(&name) {
                            finished(due, passed);
                        }
                    }
                    // It has panicked: everything is begun anew.
                    Err(error) => return Err(ApiError::internal(error)),
                },
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    async fn watch<T: Resource>(&self) -> Result<WatchStream, ApiError> {
        let cache = self.verbs.cache(T::kind())?;
        cache.catch_up().await?;
        let revision = cache.list(&Selection::default(), None, 0)?.revision;
        Ok(cache.watch(Selection::default(), Start::After(revision), false, WATCH))
    }

    /// Takes the APIServices as they are now. Those that say something else than before are looked at.
    fn update(&self, due: &mut BTreeMap<String, Due>) -> Result<(), ApiError> {
        let page = self.verbs.cache(ApiService::kind())?.list(&Selection::default(), None, 0)?;
        let read = |entry: &Arc<Entry>| entry.object().ok()?.downcast_ref::<ApiService>().cloned();
        let all: Vec<ApiService> = page.items.iter().filter_map(read).collect();
        self.remotes.update(&all);
        due.retain(|name, _| {
            let there = all.iter().any(|object| object.name() == name);
            if !there {
                metrics::forget_api_service(name);
            }
            there
        });
        let now = Instant::now();
        for object in &all {
            let remote = self.remotes.find(object.name());
            match due.get_mut(object.name()) {
                Some(due) if same(due.remote.as_deref(), remote.as_deref()) => due.remote = remote,
                Some(due) => {
                    due.remote = remote;
                    due.at = now;
                    due.failures = 0;
                }
                None => {
                    let new = Due { remote, at: now, running: false, failures: 0 };
                    due.insert(object.name().to_owned(), new);
                }
            }
        }
        Ok(())
    }

    /// Those whose Service, or whose endpoints, have changed are looked at.
    fn touch(
        &self,
        due: &mut BTreeMap<String, Due>,
        items: &[WatchItem],
        service: impl Fn(&Entry) -> Option<&str>,
    ) {
        let wanted = self.remotes.services();
        if wanted.is_empty() {
            return;
        }
        let now = Instant::now();
        for item in items {
            let (WatchItem::Added(entry) | WatchItem::Modified(entry) | WatchItem::Deleted(entry)) = item
            else {
                continue;
            };
            let Some(name) = service(entry) else { continue };
            if !wanted.contains(&(entry.namespace().to_owned(), name.to_owned())) {
                continue;
            }
            for due in due.values_mut() {
                if due.remote.as_ref().is_some_and(|remote| remote.is_at(entry.namespace(), name)) {
                    due.at = now;
                    due.failures = 0;
                }
            }
        }
    }

    /// Looks at one, and says whether it is as it should be.
    async fn check(&self, name: &str) -> bool {
        match self.look_at(name).await {
            Ok(passed) => passed,
            // It is gone, or somebody else has changed it.
            Err(error) if matches!(error.reason(), Reason::NotFound | Reason::Conflict) => true,
            Err(error) => {
                tracing::warn!(%error, name, "the status of an APIService could not be written");
                false
            }
        }
    }

    async fn look_at(&self, name: &str) -> Result<bool, ApiError> {
        let Some(entry) = self.verbs.cache(ApiService::kind())?.peek(name) else { return Ok(true) };
        let object = entry.object()?;
        let Some(object) = object.downcast_ref::<ApiService>() else { return Ok(true) };
        let Some(remote) = Remote::of(object) else {
            self.write(object, &Verdict::local()).await?;
            return Ok(true);
        };
        let verdict = match availability::reference(object) {
            Some(reference) => {
                let (service, slices) = self.remotes.service(reference)?;
                availability::of_service(reference, service.as_ref(), &slices)
            }
            None => None,
        };
        let (verdict, asked) = match verdict {
            Some(verdict) => (verdict, false),
            None => match self.remotes.probe(&remote).await {
                Ok(()) => (Verdict::passed(), true),
                Err(why) => (Verdict::failed(why), true),
            },
        };
        self.write(object, &verdict).await?;
        if !verdict.available {
            self.remotes.describe(name, None);
            // What is missing comes by the watches; only what did not answer has to be asked again.
            return Ok(!asked);
        }
        let described = self.describe(&remote).await;
        if let Err(why) = &described {
            tracing::debug!(name, why, "what a server serves is not known any more");
        }
        Ok(described.is_ok())
    }

    async fn write(&self, object: &ApiService, verdict: &Verdict) -> Result<(), ApiError> {
        let name = object.name();
        metrics::api_service(name, verdict.available);
        let now = Time::now();
        let changed = |old: &ApiService| {
            let mut new = old.clone();
            verdict.write(&mut new, now);
            (new != *old).then_some(new)
        };
        let Some(new) = changed(object) else { return Ok(()) };
        if let Some(reason) = availability::became_unavailable(object, &new) {
            metrics::api_service_lost(name, &reason);
        }
        tracing::info!(name, available = verdict.available, verdict.reason, verdict.message, "an APIService");
        let target = Target { kind: ApiService::kind(), namespace: String::new(), name: name.to_owned() };
        let spec = &object.spec;
        let written = self.verbs.modify(&target, false, |old| match old.downcast_ref::<ApiService>() {
            // Only about what was looked at.
            Some(old) if old.spec == *spec => {
                Ok(changed(old).map_or(Next::Keep, |new| Next::Put(Box::new(new))))
            }
            _ => Ok(Next::Keep),
        });
        written.await.map(drop)
    }

    /// Takes what a server says of its group and version.
    async fn describe(&self, remote: &Remote) -> Result<(), String> {
        let found = within(DOCUMENT_LIMIT, self.version(remote)).await;
        let version = match found {
            Ok(version) => version,
            Err(why) => {
                self.remotes.describe(&remote.name, None);
                return Err(why);
            }
        };
        let before = self.remotes.found(&remote.name);
        let (openapi, schema) = before.map_or((None, None), |found| (found.openapi, found.schema));
        let mut found = Found { version, openapi, schema };
        self.remotes.describe(&remote.name, Some(found.clone()));
        // These are larger, and what is missing of them keeps nobody from anything.
        let told = |why: &String| tracing::debug!(name = remote.name, why, "no document of OpenAPI");
        if let Ok(openapi) = within(OPENAPI_LIMIT, self.openapi(remote)).await.inspect_err(told) {
            found.openapi = openapi;
        }
        let known = found.schema.clone();
        if let Ok(schema) = within(OPENAPI_LIMIT, self.schema(remote, known)).await.inspect_err(told) {
            found.schema = schema;
        }
        self.remotes.describe(&remote.name, Some(found));
        Ok(())
    }

    /// Where its document of OpenAPI 3 is; older servers have none.
    async fn openapi(&self, remote: &Remote) -> Result<Option<String>, String> {
        let answer = self.document(remote, "/openapi/v3", JSON, None).await?;
        let path = remote.path();
        Ok(answer.parsed()?.and_then(|index| discovery::openapi_link(&index, path.trim_start_matches('/'))))
    }

    /// The part of its document of OpenAPI 2 that matters, unless it is what is known.
    async fn schema(&self, remote: &Remote, known: Option<Schema>) -> Result<Option<Schema>, String> {
        let etag = known.as_ref().and_then(|schema| schema.etag.as_deref());
        let answer = self.document(remote, "/openapi/v2", JSON, etag).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(known);
        }
        let path = remote.path();
        // Reading a large document takes its time.
        let read = tokio::task::spawn_blocking(move || -> Result<Option<Schema>, String> {
            let Some(document) = answer.parsed()? else { return Ok(None) };
            let part = Arc::new(openapi::below(&document, &path));
            Ok(Some(Schema { etag: answer.etag, part }))
        });
        read.await.map_err(|error| error.to_string())?
    }

    /// By aggregated discovery, or else by its list of resources.
    async fn version(&self, remote: &Remote) -> Result<Value, String> {
        let answer = self.document(remote, "/apis", AGGREGATED, None).await?;
        if answer.status == StatusCode::OK && answer.form.contains("as=APIGroupDiscoveryList") {
            let document = answer.parsed()?.unwrap_or_default();
            // A version that it does not tell of is there, but without resources.
            let found = discovery::of_aggregated(&document, &remote.group, &remote.version);
            return Ok(found.unwrap_or_else(|| serde_json::json!({})));
        }
        if answer.status.is_server_error() {
            return Err(format!("/apis: {}", answer.status));
        }
        let path = remote.path();
        let answer = self.document(remote, &path, JSON, None).await?;
        let document = answer.parsed()?.ok_or_else(|| format!("{path}: {}", answer.status))?;
        discovery::of_plain(&document).ok_or_else(|| format!("{path}: it is no list of resources"))
    }

    async fn document(
        &self,
        remote: &Remote,
        path: &str,
        accept: &str,
        etag: Option<&str>,
    ) -> Result<Answer, String> {
        let answer = self.remotes.fetch(remote, path, accept, etag).await?;
        let (parts, body) = answer.into_parts();
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(body, MAX_DOCUMENT).collect().await;
        let body = body.map_err(|error| format!("{path}: {error}"))?.to_bytes();
        Ok(Answer {
            path: path.to_owned(),
            status: parts.status,
            form: text(CONTENT_TYPE).unwrap_or_default().replace(' ', ""),
            etag: text(ETAG),
            body,
        })
    }
}

/// What a server answered.
struct Answer {
    path: String,
    status: StatusCode,
    /// The media type, without spaces.
    form: String,
    etag: Option<String>,
    body: Bytes,
}

impl Answer {
    /// The JSON of a success; nothing of anything else.
    fn parsed(&self) -> Result<Option<Value>, String> {
        if self.status != StatusCode::OK {
            return Ok(None);
        }
        serde_json::from_slice(&self.body).map(Some).map_err(|error| format!("{}: {error}", self.path))
    }
}

async fn within<T>(limit: Duration, ask: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(limit, ask).await {
        Ok(found) => found,
        Err(_) => Err("context deadline exceeded".to_owned()),
    }
}

/// The items, unless the watch has to begin anew.
fn intact(items: Option<Vec<WatchItem>>) -> Option<Vec<WatchItem>> {
    items.filter(|items| !items.iter().any(|item| matches!(item, WatchItem::Error(_))))
}

/// Whether they are the same server.
fn same(a: Option<&Remote>, b: Option<&Remote>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.is_same(b),
        _ => false,
    }
}

fn finished(due: &mut Due, passed: bool) {
    due.running = false;
    if passed {
        due.failures = 0;
        return;
    }
    let pause = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(due.failures).unwrap_or(u32::MAX)).min(AGAIN);
    due.failures = due.failures.saturating_add(1);
    due.at = due.at.min(Instant::now() + pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_is_asked_again_soon_and_then_less_often() {
        let mut due = Due { remote: None, at: Instant::now() + AGAIN, running: true, failures: 0 };
        let mut pauses = Vec::new();
        for _ in 0..12 {
            finished(&mut due, false);
            pauses.push(due.at - Instant::now());
            due.at = Instant::now() + AGAIN;
        }
        assert_eq!((pauses[0], pauses[3], pauses[11]), (FIRST_PAUSE, FIRST_PAUSE * 8, AGAIN));
        due.failures = 200;
        finished(&mut due, false);
        assert_eq!(due.at - Instant::now(), AGAIN);
        // What has happened meanwhile counts.
        due.at = Instant::now();
        finished(&mut due, true);
        assert_eq!((due.at, due.failures), (Instant::now(), 0));
    }
}
