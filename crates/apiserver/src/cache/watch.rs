//! Watches: a beginning, then what a cursor finds.

use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use futures::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::cursor::Cursor;
use super::log::Change;
use super::{Cache, Entry, Selection};
use crate::conversion::Converter;
use crate::status::ApiError;
use crate::verbs::{WatchItem, WatchStream};

/// How many initial objects are sent together.
const INITIAL_BATCH: usize = 500;
/// How often a watcher that wants bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// With every change above a revision.
    After(i64),
    /// With the present objects as if they were new, then every change. `marked`: a bookmark divides the two.
    Present {
        /// Whether a bookmark ends the present objects.
        marked: bool,
    },
}

impl Cache {
    /// Watches the selected objects from `start` on, for `duration` at most.
    pub(crate) fn watch(
        self: &Arc<Self>,
        selection: Selection,
        start: Start,
        bookmarks: bool,
        duration: Duration,
    ) -> WatchStream {
        self.watch_through(None, selection, start, bookmarks, duration)
    }

    /// The same, where everything goes through a converter before it is selected, if there is one.
    pub(crate) fn watch_through(
        self: &Arc<Self>,
        converter: Option<Converter>,
        selection: Selection,
        start: Start,
        bookmarks: bool,
        duration: Duration,
    ) -> WatchStream {
        let place = converter.as_ref().map(|_| selection.place());
        let (initial, mut cursor, revision) = match self.begin(place.as_ref().unwrap_or(&selection), start) {
            Ok(begun) => begun,
            Err(error) => return futures::stream::iter([vec![WatchItem::Error(error)]]).boxed(),
        };
        let marked = start == Start::Present { marked: true };
        let above = if let Start::After(revision) = start { revision } else { 0 };
        let closed = self.closed.clone();
        stream! {
            let end = tokio::time::sleep(duration);
            tokio::pin!(end);
            for batch in initial.chunks(INITIAL_BATCH) {
                let Some(converter) = &converter else {
                    yield batch.iter().cloned().map(WatchItem::Added).collect();
                    continue;
                };
                let items = converter.initial(batch, &selection).await;
                let ends = matches!(items.last(), Some(WatchItem::Error(_)));
                if !items.is_empty() {
                    yield items;
                }
                if ends {
                    return;
                }
            }
            drop(initial);
            if marked {
                yield vec![WatchItem::Bookmark { revision, initial_events_end: true }];
            }
            let mut ticks = interval_at(Instant::now() + BOOKMARKS, BOOKMARKS);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let taken = tokio::select! {
                    taken = cursor.next() => taken,
                    _ = ticks.tick(), if bookmarks => cursor.take(),
                    () = &mut end => return,
                    () = closed.cancelled() => return,
                };
                let taken = match taken {
                    Ok(taken) => taken,
                    Err(error) => {
                        yield vec![WatchItem::Error(error)];
                        return;
                    }
                };
                // Only a tick returns without changes.
                if taken.changes.is_empty() {
                    yield vec![WatchItem::Bookmark { revision: taken.revision, initial_events_end: false }];
                    continue;
                }
                let changes = taken.changes.iter().filter(|change| change.revision > above);
                let items: Vec<WatchItem> = match &converter {
                    None => changes.filter_map(|change| item(change, &selection)).collect(),
                    Some(converter) => converter.changes(&changes.collect::<Vec<_>>(), &selection).await,
                };
                let ends = matches!(items.last(), Some(WatchItem::Error(_)));
                if !items.is_empty() {
                    yield items;
                }
                if ends {
                    return;
                }
            }
        }
        .boxed()
    }

    /// The initial objects and a cursor that goes on exactly where they end.
    pub(super) fn begin(
        self: &Arc<Self>,
        selection: &Selection,
        start: Start,
    ) -> Result<(Vec<Arc<Entry>>, Cursor, i64), ApiError> {
        let topic = selection.topic(self.kind.namespaced());
        let mut state = self.state.write();
        let state = &mut *state;
        let (initial, position, revision) = match start {
            Start::After(revision) => {
                let position = state.log.position_after(revision);
                let position = position.ok_or_else(|| ApiError::too_old(revision, state.log.after()))?;
                (Vec::new(), position, revision)
            }
            Start::Present { .. } => {
                let entries = state.range(&selection.namespace, None);
                let entries = entries.filter(|entry| selection.matches(entry)).cloned().collect();
                (entries, state.log.end(), state.revision)
            }
        };
        let wake = state.topics.join(&topic, position, &state.log);
        Ok((initial, Cursor::new(self.clone(), topic, wake, position, revision), revision))
    }
}

/// What a change is to a watcher: an object that comes into its sight is new, one that leaves it is deleted.
pub(crate) fn item(change: &Change, selection: &Selection) -> Option<WatchItem> {
    let seen = |entry: &&Arc<Entry>| selection.matches(entry);
    let current = change.current.as_ref().filter(seen);
    let previous = change.previous.as_ref().filter(seen);
    match (previous, current) {
        (None, Some(entry)) => Some(WatchItem::Added(entry.clone())),
        (Some(_), Some(entry)) => Some(WatchItem::Modified(entry.clone())),
        (Some(_), None) => change.gone().map(WatchItem::Deleted),
        (None, None) => None,
    }
}
