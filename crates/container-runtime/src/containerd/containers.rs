//! Finding, signalling and removing containers; creating, starting, describing and giving them up.

mod abandon;
mod create;
mod start;
mod status;

use std::collections::HashMap;
use std::time::Duration;

use containerd_client::services::v1::snapshots::RemoveSnapshotRequest;
use containerd_client::services::v1::{
    Container, DeleteContainerRequest, GetContainerRequest, KillRequest, UpdateContainerRequest,
    UpdateTaskRequest, WaitRequest,
};
use containerd_client::types::v1::{Process, Status};
use prost_types::FieldMask;

pub(super) use start::Prepared;

use super::Inner;
use super::connection::{SHORT, Tolerate, call, leased};
use super::record;
use crate::{Error, Resources, Result};

const SIGKILL: i32 = 9;

/// How long a killed process may take to end before removing its container fails.
const KILL_LIMIT: Duration = Duration::from_secs(30);

impl Inner {
    pub(super) async fn set_label(&self, id: &str, key: &str, value: String) -> Result<()> {
        let container = Container {
            id: id.to_owned(),
            labels: HashMap::from([(key.to_owned(), value)]),
            ..Container::default()
        };
        let mask = FieldMask { paths: vec![format!("labels.{key}")] };
        let message = UpdateContainerRequest { container: Some(container), update_mask: Some(mask) };
        let request = self.connection.request(message, SHORT);
        call("update container", SHORT, self.connection.containers().update(request)).await.map(drop)
    }

    pub(super) async fn kill(&self, id: &str, signal: i32, all: bool) -> Result<()> {
        match self.send_signal(id, signal, all).await {
            // The shim can go away with its process in the middle of the call.
            Err(error @ Error::Runtime { .. }) => {
                let _guard = self.locks.lock(id).await;
                let stopped = |task: Process| task.status() == Status::Stopped;
                if self.task(id).await?.is_none_or(stopped) { Ok(()) } else { Err(error) }
            }
            other => other,
        }
    }

    async fn send_signal(&self, id: &str, signal: i32, all: bool) -> Result<()> {
        let invalid = |_| Error::InvalidConfig {
            field: "signal",
            value: signal.to_string(),
            reason: "is not a signal's number".into(),
        };
        let signal = u32::try_from(signal).map_err(invalid)?;
        let message = KillRequest { container_id: id.to_owned(), exec_id: String::new(), signal, all };
        let request = self.connection.request(message, SHORT);
        let killed = call("kill", SHORT, self.connection.tasks().kill(request)).await.or_missing()?;
        if killed.is_none() && self.find(id).await?.is_none() {
            return Err(missing(id));
        }
        Ok(())
    }

    pub(super) async fn remove(&self, id: &str) -> Result<()> {
        let _guard = self.locks.lock(id).await;
        self.prepared.lock().remove(id);
        if let Some(task) = self.task(id).await? {
            if task.status() != Status::Stopped {
                self.kill_and_wait(id).await?;
            }
            self.delete_task(id).await?;
        }
        tokio::try_join!(self.delete_record(id), self.remove_snapshot(id))?;
        self.remove_pipes(id);
        Ok(())
    }

    async fn kill_and_wait(&self, id: &str) -> Result<()> {
        let message = WaitRequest { container_id: id.to_owned(), exec_id: String::new() };
        let request = self.connection.request(message, KILL_LIMIT);
        let mut tasks = self.connection.tasks();
        self.send_signal(id, SIGKILL, true).await?;
        call("wait for the killed process", KILL_LIMIT, tasks.wait(request)).await.or_missing().map(drop)
    }

    async fn delete_record(&self, id: &str) -> Result<()> {
        let request = self.connection.request(DeleteContainerRequest { id: id.to_owned() }, SHORT);
        let answer = call("delete container", SHORT, self.connection.containers().delete(request)).await;
        answer.or_missing().map(drop)
    }

    async fn remove_snapshot(&self, id: &str) -> Result<()> {
        let message =
            RemoveSnapshotRequest { snapshotter: self.options.snapshotter.clone(), key: id.to_owned() };
        // Under the lease, so that the lease forgets it too.
        let request = leased(self.connection.request(message, SHORT), self.lease().await?);
        let answer =
            call("remove root file system", SHORT, self.connection.snapshots().remove(request)).await;
        answer.or_missing().map(drop)
    }

    pub(super) async fn update_resources(&self, id: &str, resources: &Resources) -> Result<()> {
        let resources = record::spec_any("LinuxResources", &crate::spec::resources(resources))?;
        let message = UpdateTaskRequest {
            container_id: id.to_owned(),
            resources: Some(resources),
            annotations: HashMap::new(),
        };
        let request = self.connection.request(message, SHORT);
        call("update task", SHORT, self.connection.tasks().update(request)).await.map(drop)
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Container>> {
        let request = self.connection.request(GetContainerRequest { id: id.to_owned() }, SHORT);
        let answer = call("get container", SHORT, self.connection.containers().get(request)).await;
        Ok(answer.or_missing()?.and_then(|response| response.container))
    }
}

pub(super) fn missing(id: &str) -> Error {
    Error::NotFound { kind: "container", name: id.to_owned() }
}
