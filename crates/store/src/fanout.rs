//! Hands one ordered feed of changes out to watchers of prefixes.
//!
//! The feed carries *every* change of the store, so its position is the position of every prefix: a watcher
//! whose own prefix is idle still learns how far the store has come, without asking the server. A watcher that
//! starts a little in the past is served from the recent events kept here; one that starts further back, or
//! that was too slow and overflowed, fetches what it misses from the store's history and then joins again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_stream::try_stream;
use futures::{StreamExt as _, stream::BoxStream};
use parking_lot::Mutex;

use crate::{Batch, Error, Event, Progress, Result, Watch};

/// How many recent events are kept for watchers that start in the near past.
const RECENT_EVENTS: usize = 4096;
/// ... and how many bytes of values in them.
const RECENT_BYTES: usize = 8 << 20;
/// How many events may wait for one watcher before it has to catch up from history.
const QUEUE_EVENTS: usize = 16_384;
/// How many events one batch carries, rounded up to whole revisions.
const BATCH_EVENTS: usize = 1024;

/// Where a watcher that is behind the recent events gets what it missed.
pub(crate) trait History: Send + Sync + 'static {
    /// The changes of `prefix` with revisions in `(after, through]`, as batches; the last one's revision is
    /// `through` or above.
    fn replay(&self, prefix: String, after: i64, through: i64) -> BoxStream<'static, Result<Batch>>;
}

/// The feed's hub.
pub(crate) struct Fanout {
    /// Every change up to this revision is in the queues of those who watch it.
    revision: AtomicI64,
    inner: Mutex<Inner>,
}

struct Inner {
    recent: VecDeque<Event>,
    recent_bytes: usize,
    /// Every change above this revision is in `recent`.
    recent_after: i64,
    next_id: u64,
    subscribers: BTreeMap<u64, Arc<Subscriber>>,
}

struct Subscriber {
    prefix: String,
    queue: Mutex<Queue>,
    progress: Progress,
}

enum Queue {
    Open(VecDeque<Event>),
    /// Too slow: the events after the last delivered one have to be fetched from history.
    Overflowed,
    Failed(Error),
}

impl Fanout {
    /// A feed that begins after `revision`.
    pub(crate) fn new(revision: i64) -> Self {
        Self {
            revision: AtomicI64::new(revision),
            inner: Mutex::new(Inner {
                recent: VecDeque::new(),
                recent_bytes: 0,
                recent_after: revision,
                next_id: 0,
                subscribers: BTreeMap::new(),
            }),
        }
    }

    /// How far the feed has come.
    pub(crate) fn revision(&self) -> i64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Adds changes, in order, that complete the feed up to `revision`.
    pub(crate) fn publish(&self, events: Vec<Event>, revision: i64) {
        let mut inner = self.inner.lock();
        // Readers look at the revision first and at the queue second, and take nothing above that revision. So
        // the queues are filled first, and nobody sees half of a revision.
        let mut touched = Vec::new();
        for event in &events {
            for (id, subscriber) in &inner.subscribers {
                if event.key().starts_with(&subscriber.prefix) {
                    subscriber.push(event);
                    touched.push(*id);
                }
            }
        }
        self.revision.fetch_max(revision, Ordering::AcqRel);
        for (id, subscriber) in &inner.subscribers {
            let due = subscriber.progress.pending().is_some_and(|wanted| wanted <= revision);
            if due || touched.contains(id) {
                subscriber.progress.wake();
            }
        }
        inner.remember(events);
    }

    /// Ends every watch with `error` and begins a new feed after `revision`: the changes between are lost.
    pub(crate) fn restart(&self, error: &Error, revision: i64) {
        let mut inner = self.inner.lock();
        for subscriber in std::mem::take(&mut inner.subscribers).into_values() {
            *subscriber.queue.lock() = Queue::Failed(error.clone());
            subscriber.progress.wake();
        }
        inner.recent.clear();
        inner.recent_bytes = 0;
        inner.recent_after = revision;
        self.revision.store(revision, Ordering::Release);
    }

    /// Watches `prefix` after the revision `after`.
    pub(crate) fn watch(self: &Arc<Self>, history: Arc<dyn History>, prefix: &str, after: i64) -> Watch {
        let progress = Progress::default();
        let (fanout, prefix, handle) = (self.clone(), prefix.to_owned(), progress.clone());
        // Joined at once, so that nothing that happens before the first poll has to be fetched again.
        let mut first = Some(fanout.subscribe(&prefix, after, handle.clone()));
        let stream = try_stream! {
            let mut after = after;
            loop {
                let (subscription, gap) = match first.take() {
                    Some(joined) => joined,
                    None => fanout.subscribe(&prefix, after, handle.clone()),
                };
                if let Some(through) = gap {
                    let mut past = history.replay(prefix.clone(), after, through);
                    while let Some(batch) = past.next().await {
                        let batch = batch?;
                        after = batch.revision;
                        handle.reported(after);
                        yield batch;
                    }
                }
                while let Some(batch) = subscription.next(after).await? {
                    after = batch.revision;
                    yield batch;
                }
                tracing::debug!(prefix, after, "watch is behind, catching up from history");
            }
        };
        Watch::new(stream.boxed(), progress)
    }

    /// Joins the feed. Returns the revision up to which the events after `after` must be fetched from history.
    fn subscribe(
        self: &Arc<Self>,
        prefix: &str,
        after: i64,
        progress: Progress,
    ) -> (Subscription, Option<i64>) {
        let mut inner = self.inner.lock();
        let revision = self.revision();
        let mut queue = VecDeque::new();
        let mut gap = None;
        if after < inner.recent_after {
            gap = Some(revision);
        } else {
            let missed = inner.recent.iter().filter(|e| e.revision() > after && e.key().starts_with(prefix));
            queue.extend(missed.cloned());
        }
        let id = inner.next_id;
        inner.next_id += 1;
        let queue = Mutex::new(Queue::Open(queue));
        let subscriber = Arc::new(Subscriber { prefix: prefix.to_owned(), queue, progress });
        inner.subscribers.insert(id, subscriber.clone());
        (Subscription { fanout: self.clone(), id, subscriber }, gap)
    }
}

impl Inner {
    fn remember(&mut self, events: Vec<Event>) {
        for event in events {
            self.recent_bytes += size(&event);
            self.recent.push_back(event);
        }
        while self.recent.len() > RECENT_EVENTS || self.recent_bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= size(&oldest);
            // The rest of this revision stays for a while, and is of no use: `recent_after` says so.
            self.recent_after = oldest.revision();
        }
    }
}

fn size(event: &Event) -> usize {
    let value = match event {
        Event::Put { kv, .. } => kv.value.len(),
        Event::Delete { .. } => 0,
    };
    value + event.previous().map_or(0, |kv| kv.value.len()) + event.key().len()
}

impl Subscriber {
    fn push(&self, event: &Event) {
        let mut queue = self.queue.lock();
        match &mut *queue {
            Queue::Open(events) if events.len() < QUEUE_EVENTS => events.push_back(event.clone()),
            Queue::Open(_) => *queue = Queue::Overflowed,
            Queue::Overflowed | Queue::Failed(_) => {}
        }
    }
}

struct Subscription {
    fanout: Arc<Fanout>,
    id: u64,
    subscriber: Arc<Subscriber>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.fanout.inner.lock().subscribers.remove(&self.id);
    }
}

impl Subscription {
    /// The next batch after the revision `after`, or nothing if events were dropped.
    async fn next(&self, after: i64) -> Result<Option<Batch>> {
        loop {
            match self.take(after)? {
                Taken::Batch(batch) => return Ok(Some(batch)),
                Taken::Overflowed => return Ok(None),
                Taken::Nothing => self.subscriber.progress.woken().await,
            }
        }
    }

    fn take(&self, after: i64) -> Result<Taken> {
        let progress = &self.subscriber.progress;
        // Read before the queue: every event up to here is in the queue by now.
        let revision = self.fanout.revision();
        let mut queue = self.subscriber.queue.lock();
        let queued = match &mut *queue {
            Queue::Open(queued) => queued,
            Queue::Overflowed => return Ok(Taken::Overflowed),
            Queue::Failed(error) => return Err(error.clone()),
        };
        let mut events: Vec<Event> = Vec::with_capacity(queued.len().min(BATCH_EVENTS));
        while let Some(next) = queued.front() {
            let same_revision = events.last().is_some_and(|last| last.revision() == next.revision());
            let full = events.len() >= BATCH_EVENTS && !same_revision;
            if full || next.revision() > revision {
                break;
            }
            // What history delivered already is dropped.
            let next = queued.pop_front().filter(|next| next.revision() > after);
            events.extend(next);
        }
        let rest = queued.front().is_some_and(|next| next.revision() <= revision);
        let known = if rest { events.last().map_or(after, Event::revision) } else { revision };
        drop(queue);
        let due = progress.pending().is_some_and(|wanted| wanted <= known);
        if events.is_empty() && !due {
            return Ok(Taken::Nothing);
        }
        let revision = known.max(after);
        progress.reported(revision);
        Ok(Taken::Batch(Batch { events, revision }))
    }
}

enum Taken {
    Batch(Batch),
    Overflowed,
    Nothing,
}
