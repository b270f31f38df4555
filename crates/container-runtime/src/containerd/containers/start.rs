//! Running what was created.

use std::time::SystemTime;

use containerd_client::services::v1::{CreateTaskRequest, StartRequest};
use containerd_client::types::Mount;

use super::super::Inner;
use super::super::connection::{LONG, call};
use super::super::record::{self, Created};
use super::missing;
use crate::{ContainerState, ContainerStatus, Error, Result};

/// A container that is created and not started, with all that its start needs and answers.
pub(in super::super) struct Prepared {
    pub(super) created: Created,
    pub(super) mounts: Vec<Mount>,
    /// As it is going to be once it runs, save for the state.
    pub(super) status: ContainerStatus,
}

impl Inner {
    /// Runs the created container's process.
    ///
    /// containerd undoes what it is doing for a caller that goes away, so what came of a start that was cut off is
    /// open for a while. Two rules keep that from mattering: a container is started once, by whoever created it, and
    /// the record says that it was started before its process can run. One without that mark never ran, whatever
    /// becomes of its start, and is given up by [`Inner::abandon`].
    pub(in super::super) async fn start(&self, id: &str) -> Result<ContainerStatus> {
        let _guard = self.locks.lock(id).await;
        let prepared = self.prepared.lock().remove(id);
        let Some(Prepared { created, mounts, mut status }) = prepared else {
            return Err(self.not_startable(id).await);
        };
        let stdin = if created.stdin { self.stdin_pipe(id)? } else { String::new() };
        let message = CreateTaskRequest {
            container_id: id.to_owned(),
            rootfs: mounts,
            stdin,
            stderr: if created.tty { String::new() } else { created.output.clone() },
            stdout: created.output,
            terminal: created.tty,
            ..CreateTaskRequest::default()
        };
        let request = self.connection.request(message, LONG);
        call("create task", LONG, self.connection.tasks().create(request)).await?;
        let started_at = SystemTime::now();
        self.set_label(id, record::STARTED, record::format_time(started_at)).await?;
        let message = StartRequest { container_id: id.to_owned(), exec_id: String::new() };
        let request = self.connection.request(message, LONG);
        let pid = call("start task", LONG, self.connection.tasks().start(request)).await?.pid;
        status.state = ContainerState::Running { pid, started_at };
        Ok(status)
    }

    async fn not_startable(&self, id: &str) -> Error {
        match self.find(id).await {
            Ok(Some(_)) => Error::WrongState {
                id: id.to_owned(),
                state: "started before, or created by a process that is gone".into(),
                reason: "it must be created and never started",
            },
            Ok(None) => missing(id),
            Err(error) => error,
        }
    }
}
