//! Running processes: what became of them, what they use, further ones beside them.

mod exec;
mod pipes;
mod stats;

use std::path::Path;
use std::sync::Arc;

use containerd_client::services::v1::{DeleteTaskRequest, GetRequest};
use containerd_client::types::v1::{Process, Status};

use super::Inner;
use super::connection::{LONG, SHORT, Tolerate, call};
use super::record::{self, Created, Finished};
use crate::Result;

pub(super) use pipes::prepare as prepare_state_dir;

const KILLED: i32 = 128 + 9;

impl Inner {
    pub(super) async fn task(&self, id: &str) -> Result<Option<Process>> {
        let request = self
            .connection
            .request(GetRequest { container_id: id.to_owned(), exec_id: String::new() }, SHORT);
        let answer = call("get task", SHORT, self.connection.tasks().get(request)).await;
        Ok(answer.or_missing()?.and_then(|response| response.process))
    }

    pub(super) async fn delete_task(&self, id: &str) -> Result<()> {
        let request = self.connection.request(DeleteTaskRequest { container_id: id.to_owned() }, LONG);
        call("delete task", LONG, self.connection.tasks().delete(request)).await.or_missing().map(drop)
    }

    /// How a stopped task ended. Its cgroup is still there to tell whether memory ran out.
    pub(super) fn finished(&self, created: &Created, task: &Process) -> Finished {
        let exit_code = exit_code(task.exit_status);
        Finished {
            exit_code,
            at: record::time(task.exited_at),
            oom_killed: oom_killed(exit_code, &created.cgroup),
        }
    }

    /// Writes down how a container ended and then lets go of its task, and with it of the shim process. What the
    /// container ends up as is thus kept even if the machine restarts.
    pub(super) fn bury(inner: &Arc<Self>, id: String, finished: Finished) {
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            let _guard = inner.locks.lock(&id).await;
            if let Err(error) = inner.write_end(&id, finished).await
                && !error.is_not_found()
            {
                // The task stays and is found stopped by the next listing, which tries again.
                tracing::warn!(container = id, %error, "the end of a container could not be written down");
            }
        });
    }

    async fn write_end(&self, id: &str, finished: Finished) -> Result<()> {
        let stopped = self.task(id).await?.is_some_and(|task| task.status() == Status::Stopped);
        if !stopped {
            return Ok(());
        }
        // A struct of numbers always becomes JSON.
        let text = serde_json::to_string(&finished).unwrap_or_default();
        self.set_label(id, record::FINISHED, text).await?;
        self.delete_task(id).await
    }
}

/// containerd tells 128 plus the signal by itself.
pub(super) fn exit_code(status: u32) -> i32 {
    i32::try_from(status).unwrap_or(i32::MAX)
}

/// Whether a container that was killed was so by the kernel for want of memory, in the words of its cgroup.
pub(super) fn oom_killed(exit_code: i32, cgroup: &Path) -> bool {
    exit_code == KILLED && stats::oom_kills(cgroup) > 0
}
