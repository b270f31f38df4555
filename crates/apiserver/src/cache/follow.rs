//! Another shape of a cache's objects, brought up to date by whoever needs it.

use std::sync::Arc;

use super::cursor::Cursor;
use super::{Cache, Entry, Selection, Start};

/// What happened to the objects of a cache.
pub(crate) enum Step<'a> {
    /// All that is known is void: the present objects follow.
    Restart,
    /// The object is new or changed.
    Put(&'a Entry),
    /// The object is gone: its last state.
    Gone(&'a Entry),
}

/// A place in the changes of a cache. Nothing runs for it: whoever asks takes what has happened since.
pub(crate) struct Follower {
    cache: Arc<Cache>,
    cursor: Option<Cursor>,
    /// The cache's revision when it was asked last.
    seen: i64,
}

impl Follower {
    pub(crate) fn new(cache: Arc<Cache>) -> Self {
        Self { cache, cursor: None, seen: 0 }
    }

    /// Whether something may have happened.
    pub(crate) fn is_behind(&self) -> bool {
        *self.cache.known.borrow() != self.seen
    }

    /// Whether it has taken in what was there.
    pub(crate) fn has_begun(&self) -> bool {
        self.seen > 0
    }

    /// Takes what has happened.
    pub(crate) fn take(&mut self, mut step: impl FnMut(Step<'_>)) {
        // Before looking: what comes after the look is news again.
        let now = *self.cache.known.borrow();
        if now == self.seen {
            return;
        }
        self.seen = now;
        loop {
            let taken = match &mut self.cursor {
                Some(cursor) => cursor.take(),
                None => return self.restart(&mut step),
            };
            match taken {
                Ok(taken) if taken.changes.is_empty() => return,
                Ok(taken) => {
                    for change in &taken.changes {
                        match (&change.current, &change.previous) {
                            (Some(entry), _) => step(Step::Put(entry)),
                            (None, Some(entry)) => step(Step::Gone(entry)),
                            (None, None) => {}
                        }
                    }
                }
                // What it has not seen is forgotten, or the cache has begun anew.
                Err(_) => self.cursor = None,
            }
        }
    }

    fn restart(&mut self, step: &mut impl FnMut(Step<'_>)) {
        // Only a start at a revision can fail.
        let Ok((entries, cursor, _)) =
            self.cache.begin(&Selection::default(), Start::Present { marked: false })
        else {
            return;
        };
        self.cursor = Some(cursor);
        step(Step::Restart);
        entries.iter().for_each(|entry| step(Step::Put(entry)));
    }
}
