//! What containers are.

use std::collections::HashMap;
use std::sync::Arc;

use containerd_client::services::v1::{Container, ListContainersRequest, ListTasksRequest};
use containerd_client::types::v1::{Process, Status};

use super::super::Inner;
use super::super::connection::{SHORT, call};
use super::super::record::{self, Finished};
use super::missing;
use crate::{ContainerState, ContainerStatus, Result};

impl Inner {
    pub(in super::super) async fn status(inner: &Arc<Self>, id: &str) -> Result<ContainerStatus> {
        let (container, task) = tokio::try_join!(inner.find(id), inner.task(id))?;
        Self::compose(inner, container.ok_or_else(|| missing(id))?, task)
    }

    pub(in super::super) async fn list(inner: &Arc<Self>) -> Result<Vec<ContainerStatus>> {
        let connection = &inner.connection;
        // Tasks first: one that appears in between belongs to a container that is listed as created, as it was.
        let request = connection.request(ListTasksRequest::default(), SHORT);
        let tasks = call("list tasks", SHORT, connection.tasks().list(request)).await?.tasks;
        let mut tasks: HashMap<String, Process> =
            tasks.into_iter().map(|task| (task_id(&task), task)).collect();
        let request = connection.request(ListContainersRequest::default(), SHORT);
        let containers =
            call("list containers", SHORT, connection.containers().list(request)).await?.containers;
        let status = |container: Container| {
            let task = tasks.remove(&container.id);
            Self::compose(inner, container, task)
        };
        let mut statuses = containers.into_iter().map(status).collect::<Result<Vec<_>>>()?;
        // containerd leaves out of its list what does not answer at that moment: whoever is missing is asked for.
        for status in statuses.iter_mut().filter(|status| matches!(status.state, ContainerState::Lost { .. }))
        {
            match Self::status(inner, &status.id).await {
                Err(error) if error.is_not_found() => {}
                again => *status = again?,
            }
        }
        Ok(statuses)
    }

    /// Puts together what the record and the task say. An end that was missed is written down on the way.
    fn compose(
        inner: &Arc<Self>,
        mut container: Container,
        task: Option<Process>,
    ) -> Result<ContainerStatus> {
        let (created, started, finished) = record::take(&container.id, &mut container.labels)?;
        let created_at = record::time(container.created_at);
        let started_at = started.unwrap_or(created_at);
        let exited = |finished: Finished| finished.state(started_at);
        let state = match (finished, task) {
            (Some(finished), _) => exited(finished),
            // Whatever there is of a process, it never got to run.
            (None, _) if started.is_none() => ContainerState::Created,
            (None, None) => ContainerState::Lost { started_at },
            (None, Some(task)) => match task.status() {
                Status::Created => ContainerState::Created,
                Status::Stopped => {
                    let finished = inner.finished(&created, &task);
                    Self::bury(inner, container.id.clone(), finished);
                    exited(finished)
                }
                _ => ContainerState::Running { pid: task.pid, started_at },
            },
        };
        Ok(ContainerStatus {
            id: container.id,
            image: container.image,
            image_id: created.image_id,
            labels: container.labels.into_iter().collect(),
            created_at,
            state,
        })
    }

    /// A container whose process is known to have ended.
    pub(in super::super) fn describe(
        mut container: Container,
        finished: Finished,
    ) -> Result<ContainerStatus> {
        let (created, started, _) = record::take(&container.id, &mut container.labels)?;
        let created_at = record::time(container.created_at);
        Ok(ContainerStatus {
            id: container.id,
            image: container.image,
            image_id: created.image_id,
            labels: container.labels.into_iter().collect(),
            created_at,
            state: finished.state(started.unwrap_or(created_at)),
        })
    }
}

/// Listed tasks carry their container's id as their own.
fn task_id(task: &Process) -> String {
    if task.container_id.is_empty() { task.id.clone() } else { task.container_id.clone() }
}
