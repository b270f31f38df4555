//! Giving up containers whose start was cut off.

use std::sync::Arc;
use std::time::Duration;

use containerd_client::types::v1::Status;
use tokio::time::Instant;

use super::super::connection::Tolerate;
use super::super::{Inner, record, shims};
use crate::Result;

/// Where no process has been seen for this long, none comes any more: containerd has long noticed that the caller is
/// gone.
const SETTLED: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_millis(500);
/// What could not be removed by then stays until the next start of the caller, which finds it again.
const LIMIT: Duration = Duration::from_secs(300);

/// What was found of a container.
enum Left {
    Process,
    Record,
    Nothing,
}

impl Inner {
    /// Ends whatever comes of a container's start, and removes the container once nothing can come any more. While
    /// that goes on, containerd may be carrying the start out or undoing it.
    pub(in super::super) fn abandon(self: Arc<Self>, id: String) {
        self.prepared.lock().remove(&id);
        if self.abandoned.lock().insert(id.clone()) {
            tokio::spawn(async move {
                self.remove_when_settled(&id).await;
                self.abandoned.lock().remove(&id);
            });
        }
    }

    async fn remove_when_settled(&self, id: &str) {
        let began = Instant::now();
        let mut quiet_since = began;
        let mut marked = false;
        let mut trouble = None;
        while began.elapsed() < LIMIT {
            let settled = marked && quiet_since.elapsed() >= SETTLED;
            match self.give_up(id, &mut marked, settled).await {
                Ok(Left::Nothing) => return,
                Ok(Left::Record) => {}
                Ok(Left::Process) => quiet_since = Instant::now(),
                Err(error) => {
                    quiet_since = Instant::now();
                    trouble = Some(error);
                }
            }
            tokio::time::sleep(ROUND).await;
        }
        let error = trouble.map(|error| error.to_string()).unwrap_or_default();
        tracing::warn!(container = id, error, "a container that was given up could not be removed");
    }

    /// One round: ends what there is of a process, and once all has `settled` also removes the rest.
    async fn give_up(&self, id: &str, marked: &mut bool, settled: bool) -> Result<Left> {
        if !*marked {
            // Before anything is ended: whoever finds the container after a crash of this process is not to take it for
            // one that ran and was lost.
            self.set_label(id, record::STARTED, String::new()).await.or_missing()?;
            *marked = true;
        }
        let (namespace, shim) = (self.connection.namespace().to_owned(), id.to_owned());
        let killing = tokio::task::spawn_blocking(move || shims::kill(&namespace, &shim));
        if let Err(error) = killing.await {
            tracing::error!(%error, "looking for a shim broke off: this is a bug");
        }
        match self.end(id).await? {
            true => Ok(Left::Process),
            false if settled => self.remove(id).await.map(|()| Left::Nothing),
            false => Ok(Left::Record),
        }
    }

    /// Ends the container's process. Answers whether there was one.
    async fn end(&self, id: &str) -> Result<bool> {
        let _guard = self.locks.lock(id).await;
        let Some(task) = self.task(id).await? else { return Ok(false) };
        if task.status() != Status::Stopped {
            self.kill_and_wait(id).await?;
        }
        self.delete_task(id).await?;
        Ok(true)
    }
}
