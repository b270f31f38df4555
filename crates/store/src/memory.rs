//! A multi-version store in memory, with the semantics of etcd: for unit tests, simulations and tools.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    Batch, Deleted, Error, Event, Found, KeyValue, ListOptions, ListPage, Result, Store, Watch,
    fanout::{Fanout, History},
};

/// The same limit as etcd's default for a request.
const MAX_VALUE: usize = 1536 << 10;

/// The store. Cloning it gives another handle to the same data.
///
/// Time to live runs on tokio's clock, so a test that pauses it moves it at will.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    fanout: Arc<Fanout>,
}

struct State {
    revision: i64,
    /// Revisions below this one are forgotten.
    compacted: i64,
    /// The versions of each key, oldest first.
    keys: BTreeMap<String, Vec<Version>>,
    /// Every change since the compaction.
    history: VecDeque<Event>,
}

/// A value, or the mark that the key was deleted.
enum Version {
    Value { kv: KeyValue, expires: Option<Instant> },
    Tombstone { mod_revision: i64 },
}

impl Version {
    fn revision(&self) -> i64 {
        match self {
            Self::Value { kv, .. } => kv.mod_revision,
            Self::Tombstone { mod_revision } => *mod_revision,
        }
    }

    fn value(&self) -> Option<&KeyValue> {
        match self {
            Self::Value { kv, .. } => Some(kv),
            Self::Tombstone { .. } => None,
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store at revision 1, as etcd's is.
    #[must_use]
    pub fn new() -> Self {
        let state = State { revision: 1, compacted: 0, keys: BTreeMap::new(), history: VecDeque::new() };
        let fanout = Arc::new(Fanout::new(state.revision));
        Self { shared: Arc::new(Shared { state: Mutex::new(state), fanout }) }
    }

    fn write(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
        guard: impl FnOnce(Option<&KeyValue>) -> Result<()>,
    ) -> Result<i64> {
        if value.len() > MAX_VALUE {
            return Err(Error::TooLarge { reason: format!("{} bytes of {MAX_VALUE}", value.len()) });
        }
        let expires = ttl.map(|ttl| Instant::now() + ttl);
        let revision = self.shared.commit(|state| {
            let previous = state.newest(key).cloned();
            guard(previous.as_ref())?;
            let kv = KeyValue {
                key: key.to_owned(),
                value,
                mod_revision: state.revision + 1,
                create_revision: previous.as_ref().map_or(state.revision + 1, |kv| kv.create_revision),
                version: previous.as_ref().map_or(1, |kv| kv.version + 1),
            };
            state.push(Version::Value { kv: kv.clone(), expires }, Event::Put { kv, previous });
            Ok(state.revision)
        })?;
        if let Some(at) = expires {
            self.expire_at(key.to_owned(), revision, at);
        }
        Ok(revision)
    }

    /// Deletes the version `revision` of `key` when its time comes, unless it was replaced by then.
    fn expire_at(&self, key: String, revision: i64, at: Instant) {
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            let Some(shared) = shared.upgrade() else { return };
            // Losing the race against a writer is no failure: the key then lives on as that writer wants.
            let _ = shared.commit(|state| state.delete(&key, Some(revision)));
        });
    }
}

impl Shared {
    /// Runs one transaction and publishes what it changed before any other can run.
    fn commit<T>(&self, transaction: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        let before = state.revision;
        let result = transaction(&mut state)?;
        let changes = state.history.iter().rev().take_while(|event| event.revision() > before);
        let mut events: Vec<Event> = changes.cloned().collect();
        events.reverse();
        self.fanout.publish(events, state.revision);
        Ok(result)
    }
}

impl State {
    fn newest(&self, key: &str) -> Option<&KeyValue> {
        let now = Instant::now();
        match self.keys.get(key)?.last()? {
            // Its task has not run yet, but its time is over.
            Version::Value { expires: Some(at), .. } if *at <= now => None,
            version => version.value(),
        }
    }

    fn push(&mut self, version: Version, event: Event) {
        self.revision += 1;
        self.keys.entry(event.key().to_owned()).or_default().push(version);
        self.history.push_back(event);
    }

    fn delete(&mut self, key: &str, expected: Option<i64>) -> Result<Deleted> {
        let versions = self.keys.get(key).and_then(|versions| versions.last()?.value());
        let kv = versions.ok_or_else(|| Error::NotFound { key: key.to_owned() })?.clone();
        if let Some(expected) = expected.filter(|expected| *expected != kv.mod_revision) {
            return Err(Error::Conflict { expected, current: Box::new(kv) });
        }
        let revision = self.revision + 1;
        let event = Event::Delete { key: key.to_owned(), mod_revision: revision, previous: Some(kv.clone()) };
        self.push(Version::Tombstone { mod_revision: revision }, event);
        Ok(Deleted { kv, revision })
    }

    fn check_revision(&self, requested: i64) -> Result<()> {
        if requested > self.revision {
            return Err(Error::FutureRevision { requested });
        }
        if requested < self.compacted {
            return Err(Error::Compacted { requested, compact_revision: Some(self.compacted) });
        }
        Ok(())
    }

    /// The values of a prefix as they were at `revision`, in the order of the keys.
    fn at<'a>(&'a self, prefix: &'a str, revision: i64) -> impl Iterator<Item = &'a KeyValue> {
        let keys = self.keys.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix));
        keys.filter_map(move |(_, versions)| {
            versions.iter().rev().find(|version| version.revision() <= revision)?.value()
        })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Found> {
        let state = self.shared.state.lock();
        Ok(Found { kv: state.newest(key).cloned(), revision: state.revision })
    }

    async fn list(&self, prefix: &str, options: ListOptions) -> Result<ListPage> {
        let state = self.shared.state.lock();
        let revision = options.revision.unwrap_or(state.revision);
        state.check_revision(revision)?;
        let after = options.after.as_deref();
        let mut rest =
            state.at(prefix, revision).filter(|kv| after.is_none_or(|after| kv.key.as_str() > after));
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let items: Vec<KeyValue> = rest.by_ref().take(limit).cloned().collect();
        let remaining = rest.count();
        Ok(ListPage { items, revision, remaining })
    }

    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<i64> {
        self.write(key, value, ttl, |current| match current {
            None => Ok(()),
            Some(_) => Err(Error::AlreadyExists { key: key.to_owned() }),
        })
    }

    async fn update(&self, key: &str, value: Bytes, expected: i64, ttl: Option<Duration>) -> Result<i64> {
        self.write(key, value, ttl, |current| match current {
            None => Err(Error::NotFound { key: key.to_owned() }),
            Some(kv) if kv.mod_revision == expected => Ok(()),
            Some(kv) => Err(Error::Conflict { expected, current: Box::new(kv.clone()) }),
        })
    }

    async fn delete(&self, key: &str, expected: Option<i64>) -> Result<Deleted> {
        self.shared.commit(|state| state.delete(key, expected))
    }

    async fn watch(&self, prefix: &str, after: Option<i64>) -> Result<Watch> {
        let state = self.shared.state.lock();
        let after = after.unwrap_or(state.revision);
        if after + 1 < state.compacted {
            return Err(Error::Compacted { requested: after + 1, compact_revision: Some(state.compacted) });
        }
        Ok(self.shared.fanout.watch(self.shared.clone(), prefix, after))
    }

    async fn current_revision(&self) -> Result<i64> {
        Ok(self.shared.state.lock().revision)
    }

    async fn compact(&self, revision: i64) -> Result<()> {
        let mut state = self.shared.state.lock();
        state.check_revision(revision)?;
        state.compacted = revision;
        while state.history.front().is_some_and(|event| event.revision() < revision) {
            state.history.pop_front();
        }
        state.keys.retain(|_, versions| {
            let seen_at = versions.iter().rposition(|version| version.revision() <= revision);
            versions.drain(..seen_at.unwrap_or(0));
            !matches!(versions[..], [Version::Tombstone { mod_revision }] if mod_revision <= revision)
        });
        Ok(())
    }
}

impl History for Shared {
    fn replay(&self, prefix: String, after: i64, through: i64) -> BoxStream<'static, Result<Batch>> {
        let state = self.state.lock();
        let requested = after + 1;
        if requested < state.compacted {
            let error = Error::Compacted { requested, compact_revision: Some(state.compacted) };
            return stream::iter([Err(error)]).boxed();
        }
        let wanted = |event: &&Event| {
            (requested..=through).contains(&event.revision()) && event.key().starts_with(&prefix)
        };
        let events = state.history.iter().filter(wanted).cloned().collect();
        stream::iter([Ok(Batch { events, revision: through })]).boxed()
    }
}
