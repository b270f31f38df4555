//! Creating, starting, signalling, listing and removing containers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use containerd_client::services::v1::container::Runtime as RuntimeRecord;
use containerd_client::services::v1::snapshots::{
    MountsRequest, PrepareSnapshotRequest, RemoveSnapshotRequest,
};
use containerd_client::services::v1::{
    Container, CreateContainerRequest, CreateTaskRequest, DeleteContainerRequest, GetContainerRequest,
    KillRequest, ListContainersRequest, ListTasksRequest, StartRequest, UpdateContainerRequest,
    UpdateTaskRequest, WaitRequest,
};
use containerd_client::types::Mount;
use containerd_client::types::v1::{Process, Status};
use prost_types::FieldMask;

use super::Inner;
use super::connection::{LONG, SHORT, Tolerate, call, leased};
use super::images::Image;
use super::record::{self, Created, Finished, RuncOptions};
use crate::users::Accounts;
use crate::{ContainerConfig, ContainerState, ContainerStatus, Error, Resources, Result};

const SIGKILL: i32 = 9;

/// How long a killed process may take to end before removing its container fails.
const KILL_LIMIT: Duration = Duration::from_secs(30);

/// How long containerd may take to undo a start whose caller is gone, and how often it is looked at.
const UNDOING: Duration = Duration::from_millis(50);
const UNDOING_ROUNDS: u32 = 200;

/// A container that is created and not started, with all that its start needs and answers.
pub(super) struct Prepared {
    created: Created,
    mounts: Vec<Mount>,
    /// As it is going to be once it runs, save for the state.
    status: ContainerStatus,
}

impl Inner {
    /// Records the container and prepares its root file system.
    pub(super) async fn create(&self, config: ContainerConfig) -> Result<()> {
        let _guard = self.locks.lock(&config.id).await;
        let image = self.image(&config.image).await?;
        if let Some(log) = config.log.as_ref().and_then(|log| log.path.parent()) {
            // The driver would make it too, but only here can a failure be told.
            tokio::fs::create_dir_all(log)
                .await
                .map_err(|error| Error::Io { path: log.display().to_string(), reason: error.to_string() })?;
        }
        let created = Created::new(&config, &image.info.id, &self.options.log_driver);
        let (prepared, recorded) = match image.accounts.get() {
            Some(accounts) => {
                let recording = self.record(&config, &created, &image, accounts);
                tokio::join!(self.prepare(&config.id, &image.chain_id), recording)
            }
            // Only the first container of an image has to wait for the image's users to be read.
            None => match self.prepare(&config.id, &image.chain_id).await {
                Ok(mounts) => {
                    let accounts = read_accounts(&image, &mounts).await;
                    let recorded = self.record(&config, &created, &image, accounts).await;
                    (Ok(mounts), recorded)
                }
                Err(error) => return Err(error),
            },
        };
        let prepared = match (prepared, &recorded) {
            // The record is new, so the layer is what a killed predecessor left behind.
            (Err(error), Ok(_)) if error.is_already_exists() => {
                match self.remove_snapshot(&config.id).await {
                    Ok(()) => self.prepare(&config.id, &image.chain_id).await,
                    Err(error) => Err(error),
                }
            }
            (prepared, _) => prepared,
        };
        match (prepared, recorded) {
            (Ok(mounts), Ok(created_at)) => {
                let status = ContainerStatus {
                    id: config.id.clone(),
                    image: config.image,
                    image_id: created.image_id.clone(),
                    labels: config.labels,
                    created_at,
                    state: ContainerState::Created,
                };
                self.prepared.lock().insert(config.id, Prepared { created, mounts, status });
                Ok(())
            }
            // A killed predecessor got no further than the record: it has its layer now, and can be started.
            (Ok(_), Err(error)) if error.is_already_exists() => Err(error),
            (Ok(_), Err(error)) => {
                self.undo(self.remove_snapshot(&config.id)).await;
                Err(error)
            }
            (Err(error), Ok(_)) => {
                self.undo(self.delete_record(&config.id)).await;
                Err(error)
            }
            (Err(_), Err(error)) => Err(error),
        }
    }

    async fn record(
        &self,
        config: &ContainerConfig,
        created: &Created,
        image: &Image,
        accounts: &Accounts,
    ) -> Result<SystemTime> {
        let credentials = accounts.resolve(&config.user, &image.info.config.user)?;
        let spec = crate::spec::build(config, &image.info.config, &credentials, &self.bounds)?;
        let options = &self.options;
        let runc = RuncOptions {
            binary_name: options.runtime_binary.clone(),
            root: options.runtime_root.as_ref().map(|root| root.display().to_string()).unwrap_or_default(),
            systemd_cgroup: false,
        };
        let container = Container {
            id: config.id.clone(),
            labels: record::labels(config, created),
            image: config.image.clone(),
            runtime: Some(RuntimeRecord { name: options.runtime.clone(), options: Some(runc.to_any()) }),
            spec: Some(record::spec_any("Spec", &spec)?),
            snapshotter: options.snapshotter.clone(),
            snapshot_key: config.id.clone(),
            ..Container::default()
        };
        let message = CreateContainerRequest { container: Some(container) };
        let request = self.connection.request(message, SHORT);
        let answer = call("create container", SHORT, self.connection.containers().create(request)).await;
        match answer {
            Err(error) if error.is_already_exists() => {
                Err(Error::AlreadyExists { kind: "container", name: config.id.clone() })
            }
            other => Ok(record::time(other?.container.and_then(|container| container.created_at))),
        }
    }

    /// A writable layer on top of the image. One that a crash left behind is replaced.
    async fn prepare(&self, id: &str, chain_id: &str) -> Result<Vec<Mount>> {
        let lease = self.lease().await?;
        let prepare = || async {
            let message = PrepareSnapshotRequest {
                snapshotter: self.options.snapshotter.clone(),
                key: id.to_owned(),
                parent: chain_id.to_owned(),
                labels: HashMap::new(),
            };
            let request = leased(self.connection.request(message, SHORT), lease);
            call("prepare root file system", SHORT, self.connection.snapshots().prepare(request)).await
        };
        match prepare().await {
            Err(error) if error.is_already_exists() && self.find(id).await?.is_none() => {
                self.remove_snapshot(id).await?;
                Ok(prepare().await?.mounts)
            }
            Err(error) if error.is_not_found() => {
                self.images.clear();
                Err(error)
            }
            other => other.map(|response| response.mounts),
        }
    }

    /// Undoes half of what failed; the failure itself is what is told.
    async fn undo(&self, undoing: impl Future<Output = Result<()>>) {
        if let Err(error) = undoing.await {
            tracing::warn!(%error, "what a failed container left behind could not be removed");
        }
    }

    /// Runs the created container's process.
    pub(super) async fn start(&self, id: &str) -> Result<ContainerStatus> {
        let _guard = self.locks.lock(id).await;
        let prepared = self.prepared.lock().remove(id);
        let recovered = prepared.is_none();
        let Prepared { created, mounts, mut status } = match prepared {
            Some(prepared) => prepared,
            None => self.find_prepared(id).await?,
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
        self.create_task(message, recovered).await?;
        // The time is written before the process can end, and beside the start, so that it costs nothing.
        let started_at = SystemTime::now();
        let started = self.set_label(id, record::STARTED, record::format_time(started_at));
        let message = StartRequest { container_id: id.to_owned(), exec_id: String::new() };
        let request = self.connection.request(message, LONG);
        let mut tasks = self.connection.tasks();
        let starting = async { Ok(call("start task", LONG, tasks.start(request)).await?.pid) };
        let (labelled, pid) = tokio::join!(started, async {
            // What a killed predecessor began can make containerd keep its answer to itself, or refuse.
            if recovered { self.until_running(id, starting).await } else { starting.await }
        });
        let pid = pid?;
        labelled?;
        status.state = ContainerState::Running { pid, started_at };
        Ok(status)
    }

    /// Makes the container's process, or finds the one that a killed predecessor left behind. Where containerd is
    /// still undoing what that one began, it is waited for.
    async fn create_task(&self, message: CreateTaskRequest, recovered: bool) -> Result<()> {
        const LEFTOVERS: [&str; 4] =
            ["file exists", "container with id exists", "already exists", "failed to start shim"];
        let rounds = if recovered { UNDOING_ROUNDS } else { 1 };
        for round in 1..=rounds {
            let request = self.connection.request(message.clone(), LONG);
            match call("create task", LONG, self.connection.tasks().create(request)).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_already_exists() => {
                    return self.require_unstarted(&message.container_id).await;
                }
                Err(Error::Runtime { reason, .. })
                    if round < rounds && LEFTOVERS.iter().any(|text| reason.contains(text)) =>
                {
                    tracing::debug!(id = message.container_id, reason, "a former start is being undone");
                    tokio::time::sleep(UNDOING).await;
                }
                Err(error) => return Err(error),
            }
        }
        let reason = "what a former attempt left behind does not go away".to_owned();
        Err(Error::Unavailable { call: "create task", reason })
    }

    /// Waits for the answer to a start, or until the process is seen to run.
    async fn until_running(&self, id: &str, starting: impl Future<Output = Result<u32>>) -> Result<u32> {
        let running = async || {
            let task = self.task(id).await.ok().flatten()?;
            (task.status() == Status::Running).then_some(task.pid)
        };
        tokio::pin!(starting);
        // Bounded by the limit of the call.
        loop {
            tokio::select! {
                answer = &mut starting => match answer {
                    Ok(pid) => return Ok(pid),
                    Err(error) => return running().await.ok_or(error),
                },
                () = tokio::time::sleep(UNDOING) => {
                    if let Some(pid) = running().await {
                        return Ok(pid);
                    }
                }
            }
        }
    }

    /// What [`Inner::create`] prepared, found again after a restart of the kubelet.
    async fn find_prepared(&self, id: &str) -> Result<Prepared> {
        let mut container = self.find(id).await?.ok_or_else(|| missing(id))?;
        let (created, started, _) = record::take(id, &mut container.labels)?;
        // The start is recorded and sent side by side: one may have been cut off.
        let sent = match started {
            Some(_) => self.task(id).await?.is_none_or(|task| task.status() != Status::Created),
            None => false,
        };
        if sent {
            let state = "started before".into();
            return Err(Error::WrongState {
                id: id.to_owned(),
                state,
                reason: "it must never have been started",
            });
        }
        let status = ContainerStatus {
            id: container.id,
            image: container.image,
            image_id: created.image_id.clone(),
            labels: container.labels.into_iter().collect(),
            created_at: record::time(container.created_at),
            state: ContainerState::Created,
        };
        let message = MountsRequest { snapshotter: container.snapshotter, key: container.snapshot_key };
        let request = self.connection.request(message, SHORT);
        let mounts =
            call("find root file system", SHORT, self.connection.snapshots().mounts(request)).await?;
        Ok(Prepared { created, mounts: mounts.mounts, status })
    }

    async fn require_unstarted(&self, id: &str) -> Result<()> {
        match self.task(id).await?.map(|task| task.status()) {
            Some(Status::Created) => Ok(()),
            _ => Err(Error::WrongState {
                id: id.to_owned(),
                state: "running".into(),
                reason: "it must never have been started",
            }),
        }
    }

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

    /// The container, with the time of its start, which is being written while it starts.
    pub(super) async fn find_started(&self, id: &str) -> Result<Option<Container>> {
        match self.find(id).await? {
            Some(container) if !container.labels.contains_key(record::STARTED) => {
                drop(self.locks.lock(id).await);
                self.find(id).await
            }
            found => Ok(found),
        }
    }

    pub(super) async fn status(inner: &Arc<Self>, id: &str) -> Result<ContainerStatus> {
        let (container, task) = tokio::try_join!(inner.find(id), inner.task(id))?;
        Self::compose(inner, container.ok_or_else(|| missing(id))?, task)
    }

    pub(super) async fn list(inner: &Arc<Self>) -> Result<Vec<ContainerStatus>> {
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
            (None, None) if started.is_some() => ContainerState::Lost { started_at },
            (None, None) => ContainerState::Created,
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
}

impl Inner {
    /// A container whose process is known to have ended.
    pub(super) fn describe(mut container: Container, finished: Finished) -> Result<ContainerStatus> {
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

pub(super) fn missing(id: &str) -> Error {
    Error::NotFound { kind: "container", name: id.to_owned() }
}

async fn read_accounts<'a>(image: &'a Image, mounts: &[Mount]) -> &'a Accounts {
    let options = mounts.iter().flat_map(|mount| &mount.options);
    let lower =
        options.filter_map(|option| option.strip_prefix("lowerdir=")).flat_map(|dirs| dirs.split(':'));
    let layers: Vec<_> = lower.map(std::path::PathBuf::from).collect();
    let read = tokio::task::spawn_blocking(move || Accounts::read(&layers));
    // Reading cannot panic; were it to, the image would count as one without accounts.
    image.accounts.get_or_init(|| async { read.await.unwrap_or_default() }).await
}
