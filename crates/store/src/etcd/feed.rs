//! One watch of the whole of etcd, resumed whenever it breaks, which feeds all watches of this store.
//!
//! Watching every key instead of each prefix has one reason above all: each revision shows up in the feed, so
//! its position tells how far *every* prefix has come. The alternative, asking etcd for its progress on each
//! stream, is answered out of order by etcd before 3.4.25 and 3.5.8 (a progress report may overtake the events
//! before it), which would make a consistent read from a cache miss them.

use std::{sync::Arc, time::Duration};

use async_stream::try_stream;
use etcd_client::{WatchOptions, WatchStream};
use futures::{StreamExt as _, stream::BoxStream};
use tokio::{sync::watch, task::JoinHandle};

use super::{client::Client, convert, failure::Failure, revision};
use crate::{
    Batch, Error, Event, Result, Watch,
    fanout::{Fanout, History},
};

/// Pauses between attempts to watch, doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// How long etcd may take to confirm a watch.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// How long a new watch waits for the feed's first contact with etcd.
const START_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Feed {
    history: Arc<Replay>,
    /// The hub, once the first revision is known.
    fanout: watch::Receiver<Option<Arc<Fanout>>>,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    pub(super) fn start(client: Arc<Client>, previous_values: bool) -> Self {
        let (ready, fanout) = watch::channel(None);
        let history = Arc::new(Replay { client, previous_values });
        let task = tokio::spawn(run(history.clone(), ready));
        Self { history, fanout, task }
    }

    pub(super) async fn watch(&self, prefix: &str, after: i64) -> Result<Watch> {
        let mut fanout = self.fanout.clone();
        let ready = tokio::time::timeout(START_WITHIN, fanout.wait_for(Option::is_some)).await;
        let Ok(Ok(Some(fanout))) = ready.map(|ready| ready.map(|fanout| fanout.clone())) else {
            return Err(Error::Unavailable { reason: "etcd has not been reached yet".to_owned() });
        };
        Ok(fanout.watch(self.history.clone(), prefix, after))
    }
}

/// Keeps the feed running until the store is dropped.
async fn run(source: Arc<Replay>, ready: watch::Sender<Option<Arc<Fanout>>>) {
    let mut pause = FIRST_PAUSE;
    let fanout = loop {
        match revision::read(&source.client).await {
            Ok(revision) => break Arc::new(Fanout::new(revision)),
            Err(error) => tracing::warn!(%error, "cannot reach etcd yet"),
        }
        rest(&mut pause).await;
    };
    ready.send_replace(Some(fanout.clone()));
    pause = FIRST_PAUSE;
    loop {
        let before = fanout.revision();
        let error = match follow(&source, &fanout).await {
            Error::Compacted { .. } => match restart(&source, &fanout).await {
                Ok(()) => continue,
                Err(error) => error,
            },
            error => error,
        };
        tracing::warn!(%error, revision = fanout.revision(), "the watch of etcd broke, resuming");
        if fanout.revision() > before {
            pause = FIRST_PAUSE;
        }
        rest(&mut pause).await;
    }
}

/// Begins again at the present revision: what happened between is compacted, so all watches have to end.
async fn restart(source: &Replay, fanout: &Fanout) -> Result<()> {
    let lost = Error::Compacted { requested: fanout.revision() + 1, compact_revision: None };
    let revision = revision::read(&source.client).await?;
    tracing::warn!(from = fanout.revision(), to = revision, "etcd compacted what was not yet watched");
    fanout.restart(&lost, revision);
    Ok(())
}

/// Watches from the feed's position until that breaks.
async fn follow(source: &Replay, fanout: &Fanout) -> Error {
    let mut changes = source.changes(fanout.revision() + 1);
    loop {
        match changes.next().await {
            Some(Ok((events, revision))) => fanout.publish(events, revision),
            Some(Err(error)) => return error,
            None => return Error::Unavailable { reason: "etcd ended the watch".to_owned() },
        }
    }
}

async fn rest(pause: &mut Duration) {
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(LAST_PAUSE);
}

/// Reads etcd's history by watching it from the past.
#[derive(Clone)]
struct Replay {
    client: Arc<Client>,
    previous_values: bool,
}

impl Replay {
    /// Every change of every key from the revision `start` on, with the revision that it completes.
    fn changes(&self, start: i64) -> BoxStream<'static, Result<(Vec<Event>, i64)>> {
        let (client, previous_values) = (self.client.clone(), self.previous_values);
        let stream = try_stream! {
            let mut watch = open(&client, start, previous_values).await?;
            while let Some(answer) = watch.message().await.map_err(read_failure)? {
                let mut answer = answer.0;
                if answer.canceled {
                    Err(canceled(start, answer.compact_revision, answer.cancel_reason))?;
                    break;
                }
                let events = std::mem::take(&mut answer.events);
                // An answer holds whole revisions, since we do not let etcd fragment them.
                let Some(revision) = events.last().and_then(|event| Some(event.kv.as_ref()?.mod_revision)) else {
                    continue;
                };
                yield (events.into_iter().filter_map(convert::event).collect(), revision);
            }
        };
        stream.boxed()
    }
}

impl History for Replay {
    fn replay(&self, prefix: String, after: i64, through: i64) -> BoxStream<'static, Result<Batch>> {
        if after >= through {
            return futures::stream::empty().boxed();
        }
        let source = self.clone();
        let stream = try_stream! {
            let (mut seen, mut pause) = (after, FIRST_PAUSE);
            // Each turn ends at `through`, at an error that stays, or with etcd unreachable, as the feed does.
            loop {
                let mut changes = source.changes(seen + 1);
                while let Some(change) = changes.next().await {
                    let (mut events, revision) = match change {
                        Err(error) if error.is_transient() => break,
                        change => change?,
                    };
                    seen = revision;
                    events.retain(|event| event.key().starts_with(&prefix));
                    if revision >= through || !events.is_empty() {
                        yield Batch { events, revision };
                    }
                    if revision >= through {
                        return;
                    }
                }
                rest(&mut pause).await;
            }
        };
        stream.boxed()
    }
}

async fn open(client: &Client, start: i64, previous_values: bool) -> Result<WatchStream> {
    let mut options = WatchOptions::new().with_all_keys().with_start_revision(start);
    if previous_values {
        options = options.with_prev_key();
    }
    let unreachable = || Error::Unavailable { reason: "no endpoint of etcd is configured".to_owned() };
    let mut watch = client.watch_client().ok_or_else(unreachable)?;
    let late = |_| Error::Timeout { after: CONFIRM_WITHIN };
    let opened =
        tokio::time::timeout(CONFIRM_WITHIN, watch.watch("\0", Some(options))).await.map_err(late)?;
    opened.map_err(read_failure)
}

fn read_failure(error: etcd_client::Error) -> Error {
    Failure::from(error).of_read()
}

fn canceled(requested: i64, compact_revision: i64, reason: String) -> Error {
    if compact_revision > 0 {
        return Error::Compacted { requested, compact_revision: Some(compact_revision) };
    }
    Error::Unavailable { reason: format!("etcd cancelled the watch: {reason}") }
}
