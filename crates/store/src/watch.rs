//! The stream of changes that a watcher reads, and how it learns how far it has come.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use tokio::sync::Notify;

use crate::{Event, Result};

/// Some changes of a prefix, in order, and the revision up to which the prefix is now known.
///
/// The changes of one revision are never split over two batches. A batch without events is a progress report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The changes.
    pub events: Vec<Event>,
    /// Every change of the prefix up to and including this revision has been delivered.
    pub revision: i64,
}

/// A running watch: a stream of batches. Dropping it ends the watch.
pub struct Watch {
    stream: BoxStream<'static, Result<Batch>>,
    progress: Progress,
}

impl Watch {
    pub(crate) fn new(stream: BoxStream<'static, Result<Batch>>, progress: Progress) -> Self {
        Self { stream, progress }
    }

    /// A handle to ask this watch for progress reports.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Stream for Watch {
    type Item = Result<Batch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// Asks a watch to say when it has reached a revision.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The highest revision that was asked for.
    wanted: AtomicI64,
    /// The highest revision that a batch has reported.
    reported: AtomicI64,
    wake: Notify,
}

impl Progress {
    /// Makes the watch yield a batch, empty if need be, as soon as it knows its prefix up to `revision`.
    /// Does nothing if it has already reported that.
    pub fn request(&self, revision: i64) {
        self.0.wanted.fetch_max(revision, Ordering::AcqRel);
        self.0.wake.notify_one();
    }

    /// The revision that is still to be reported, if there is one.
    pub(crate) fn pending(&self) -> Option<i64> {
        let wanted = self.0.wanted.load(Ordering::Acquire);
        (wanted > self.0.reported.load(Ordering::Acquire)).then_some(wanted)
    }

    pub(crate) fn reported(&self, revision: i64) {
        self.0.reported.fetch_max(revision, Ordering::AcqRel);
    }

    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.0.wake.notified().await;
    }
}
