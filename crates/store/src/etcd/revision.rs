//! The store's present revision, read once for all who ask at the same time.

use std::sync::Arc;

use etcd_client::GetOptions;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{client::Client, convert};
use crate::{Error, Result};

/// A key that never exists. Reading it costs etcd no more than the agreement of its members on the revision.
const MISSING_KEY: &str = "\0";

/// Reads the revision with one request at a time: whoever comes while one is under way waits for the next,
/// since the answer of the one already sent may be older than a write that the newcomer knows of.
pub(super) struct CurrentRevision {
    shared: Arc<Shared>,
}

struct Shared {
    client: Arc<Client>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    reading: bool,
    waiting: Vec<oneshot::Sender<Result<i64>>>,
}

impl CurrentRevision {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self { shared: Arc::new(Shared { client, queue: Mutex::default() }) }
    }

    pub(super) async fn read(&self) -> Result<i64> {
        let (sender, receiver) = oneshot::channel();
        let idle = {
            let mut queue = self.shared.queue.lock();
            queue.waiting.push(sender);
            !std::mem::replace(&mut queue.reading, true)
        };
        if idle {
            // In a task, since the others must get their answer even if this caller goes away.
            tokio::spawn(self.shared.clone().serve());
        }
        let dropped = || Error::Internal { reason: "the reader of the revision ended".to_owned() };
        receiver.await.unwrap_or_else(|_| Err(dropped()))
    }
}

impl Shared {
    /// Reads as long as somebody waits.
    async fn serve(self: Arc<Self>) {
        loop {
            let waiting = {
                let mut queue = self.queue.lock();
                let waiting = std::mem::take(&mut queue.waiting);
                queue.reading = !waiting.is_empty();
                waiting
            };
            if waiting.is_empty() {
                return;
            }
            let answer = read(&self.client).await;
            for caller in waiting {
                // A caller that went away needs no answer.
                let _ = caller.send(answer.clone());
            }
        }
    }
}

/// One read of the revision.
pub(super) async fn read(client: &Client) -> Result<i64> {
    let answer = client.range(MISSING_KEY, GetOptions::new().with_count_only()).await?;
    convert::revision(answer.0.header.as_ref())
}
