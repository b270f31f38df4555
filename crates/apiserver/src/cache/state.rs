//! The objects, the recent changes and who watches them: what one lock guards.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use tokio::sync::Notify;

use super::Entry;
use super::log::{Change, Log};
use super::topic::Topics;

/// A change as the feed has it.
#[derive(Debug)]
pub(super) enum Update {
    /// The object is new or changed.
    Put(Arc<Entry>),
    /// The object is deleted.
    Delete {
        /// Its key.
        key: Box<str>,
        /// When.
        revision: i64,
    },
}

/// The objects of a resource at one revision, and how they came there.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Every change up to here is known; 0 before the first fill.
    pub(super) revision: i64,
    /// The objects, in the order of their keys.
    pub(super) entries: BTreeMap<Arc<str>, Arc<Entry>>,
    /// The objects' bytes together.
    pub(super) bytes: usize,
    /// The recent changes.
    pub(super) log: Log,
    /// Who watches.
    pub(super) topics: Topics,
}

impl State {
    /// Begins anew with what a list returned. Watchers find that they missed something.
    pub(super) fn reset(&mut self, entries: Vec<Arc<Entry>>, revision: i64) -> Vec<Arc<Notify>> {
        // A position further on, so that even a watcher that was at the end has missed something.
        let first = if self.revision == 0 { 0 } else { self.log.end() + 1 };
        self.bytes = entries.iter().map(|entry| entry.bytes_len()).sum();
        self.entries = entries.into_iter().map(|entry| (entry.key().clone(), entry)).collect();
        self.log = Log::starting(first, revision);
        self.revision = revision;
        self.topics.restarted(&self.log)
    }

    /// Takes in the changes up to `revision`. Returns whom to wake.
    pub(super) fn apply(&mut self, updates: Vec<Update>, revision: i64) -> Vec<Arc<Notify>> {
        let mut wake = Vec::new();
        for update in updates {
            let change = match update {
                Update::Put(entry) => {
                    let previous = self.entries.insert(entry.key().clone(), entry.clone());
                    self.bytes += entry.bytes_len();
                    self.bytes -= previous.as_ref().map_or(0, |entry| entry.bytes_len());
                    Change::new(entry.revision(), Some(entry), previous)
                }
                Update::Delete { key, revision } => match self.entries.remove(&*key) {
                    Some(previous) => {
                        self.bytes -= previous.bytes_len();
                        Change::new(revision, None, Some(previous))
                    }
                    None => continue,
                },
            };
            let change = Arc::new(change);
            let position = self.log.push(change.clone());
            self.topics.added(position, &change, &mut wake);
            while let Some((position, change)) = self.log.trim() {
                self.topics.forgotten(position, &change);
            }
        }
        self.revision = self.revision.max(revision);
        wake
    }

    /// The objects of a namespace (empty: of all), after a key, in order.
    pub(super) fn range<'a>(
        &'a self,
        namespace: &str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<Entry>> + use<'a> {
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let start = match after {
            Some(after) if after >= prefix.as_str() => Bound::Excluded(after.to_owned()),
            _ => Bound::Included(prefix.clone()),
        };
        let bounds = (start.as_ref().map(String::as_str), Bound::<&str>::Unbounded);
        self.entries
            .range::<str, _>(bounds)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .map(|(_, entry)| entry)
    }

    /// What differed at an older revision: the objects that have changed since, as they were then. `None` if that
    /// is forgotten.
    pub(super) fn differences_at(&self, revision: i64) -> Option<BTreeMap<Arc<str>, Option<Arc<Entry>>>> {
        if revision > self.revision {
            return None;
        }
        let mut differences = BTreeMap::new();
        for (_, change) in self.log.from(self.log.position_after(revision)?) {
            if let Some(entry) = change.entry() {
                differences.entry(entry.key().clone()).or_insert_with(|| change.previous.clone());
            }
        }
        Some(differences)
    }
}
