//! What watchers see of objects that must be converted.

use std::sync::Arc;

use super::MAX_OBJECTS;
use crate::cache::{Change, Entry, Selection, item};
use crate::status::{ApiError, Reason};
use crate::verbs::{Verbs, WatchItem};

/// Converts what a watcher is to see.
pub(crate) struct Converter(Arc<Verbs>);

impl Converter {
    pub(crate) fn new(verbs: Arc<Verbs>) -> Self {
        Self(verbs)
    }

    /// The selected objects as new ones, in portions. An object that cannot be converted is where the watch ends.
    pub(crate) async fn initial(&self, entries: &[Arc<Entry>], selection: &Selection) -> Vec<WatchItem> {
        let added = |entry: Arc<Entry>| selection.matches(&entry).then(|| WatchItem::Added(entry));
        match self.0.all_converted(entries).await {
            Ok(entries) => entries.into_iter().filter_map(added).collect(),
            Err(error) => vec![ended(error)],
        }
    }

    /// What changes are to a watcher. One of an object that cannot be converted is where the watch ends.
    pub(crate) async fn changes(&self, changes: &[&Arc<Change>], selection: &Selection) -> Vec<WatchItem> {
        let mut items = Vec::new();
        // Together where that works, and else one by one: what comes before a failure is seen.
        for portion in changes.chunks(MAX_OBJECTS) {
            let entries = |change: &&Arc<Change>| {
                change.previous.iter().chain(&change.current).cloned().collect::<Vec<_>>()
            };
            let together: Vec<_> = portion.iter().flat_map(entries).collect();
            let _kept = self.0.all_converted(&together).await;
            for change in portion {
                match self.converted(change).await {
                    Ok(change) => items.extend(item(&change, selection)),
                    Err(error) => {
                        items.push(ended(error));
                        return items;
                    }
                }
            }
        }
        items
    }

    async fn converted(&self, change: &Change) -> Result<Change, ApiError> {
        let mut of = [change.current.clone(), change.previous.clone()];
        for entry in of.iter_mut().flatten() {
            *entry = self.0.converted(entry.clone()).await?;
        }
        let [current, previous] = of;
        Ok(Change::new(change.revision, current, previous))
    }
}

/// How a watch ends whose objects cannot be shown.
fn ended(error: ApiError) -> WatchItem {
    WatchItem::Error(ApiError::new(Reason::InternalError, error.status().message.clone()))
}
