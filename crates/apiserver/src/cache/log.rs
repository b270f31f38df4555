//! The recent changes of a resource, in order: watchers are cursors into it.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::Entry;

/// How many changes are kept at most.
const MAX_CHANGES: usize = 100_000;
/// How many bytes of replaced objects the changes may keep in memory.
const MAX_BYTES: usize = 32 << 20;

/// One change of one object.
#[derive(Debug)]
pub(crate) struct Change {
    /// When.
    pub(crate) revision: i64,
    /// The object; none if it was deleted.
    pub(crate) current: Option<Arc<Entry>>,
    /// The object before; none if it was created.
    pub(crate) previous: Option<Arc<Entry>>,
    gone: OnceLock<Arc<Entry>>,
}

impl Change {
    /// A change to `current` from `previous`.
    pub(crate) fn new(revision: i64, current: Option<Arc<Entry>>, previous: Option<Arc<Entry>>) -> Self {
        Self { revision, current, previous, gone: OnceLock::new() }
    }

    /// The object before, at the revision of the change: what watchers get who do not see it any more. Made once.
    pub(super) fn gone(&self) -> Option<Arc<Entry>> {
        let previous = self.previous.as_ref()?;
        Some(self.gone.get_or_init(|| Arc::new(previous.at(self.revision))).clone())
    }

    /// The object, or what it was.
    pub(super) fn entry(&self) -> Option<&Arc<Entry>> {
        self.current.as_ref().or(self.previous.as_ref())
    }

    fn size(&self) -> usize {
        // What the map of objects holds anyway counts from when it is replaced, which is another change.
        self.previous.as_ref().map_or(0, |entry| entry.bytes_len()) + size_of::<Self>()
    }
}

/// A bounded run of changes. Each has a position, which counts on for ever.
#[derive(Debug, Default)]
pub(super) struct Log {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
    /// The position of the oldest change.
    first: u64,
    /// Every change above this revision is here.
    after: i64,
}

impl Log {
    /// An empty log, to be filled with every change above `revision`. Positions go on from `first`.
    pub(super) fn starting(first: u64, revision: i64) -> Self {
        Self { changes: VecDeque::new(), bytes: 0, first, after: revision }
    }

    /// The position of the oldest change.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The position of the next change.
    pub(super) fn end(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    /// Every change above this revision is here.
    pub(super) fn after(&self) -> i64 {
        self.after
    }

    /// The position of the first change above `revision`; `None` if changes above it are forgotten.
    pub(super) fn position_after(&self, revision: i64) -> Option<u64> {
        let index = self.changes.partition_point(|change| change.revision <= revision);
        (revision >= self.after).then_some(self.first + index as u64)
    }

    /// The changes from a position on.
    pub(super) fn from(&self, position: u64) -> impl Iterator<Item = (u64, &Arc<Change>)> {
        let skipped = usize::try_from(position.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..).zip(&self.changes).skip(skipped)
    }

    /// The change at a position.
    pub(super) fn get(&self, position: u64) -> Option<&Arc<Change>> {
        self.changes.get(usize::try_from(position.checked_sub(self.first)?).ok()?)
    }

    /// Adds the newest change and returns its position.
    pub(super) fn push(&mut self, change: Arc<Change>) -> u64 {
        let position = self.end();
        self.bytes += change.size();
        self.changes.push_back(change);
        position
    }

    /// Forgets the oldest change if there is more here than is kept.
    pub(super) fn trim(&mut self) -> Option<(u64, Arc<Change>)> {
        if self.changes.len() <= MAX_CHANGES && self.bytes <= MAX_BYTES {
            return None;
        }
        let oldest = self.changes.pop_front()?;
        let position = self.first;
        self.first += 1;
        self.bytes -= oldest.size();
        self.after = oldest.revision;
        Some((position, oldest))
    }
}
