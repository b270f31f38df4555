//! Containers on containerd's own API.
//!
//! Nothing is kept outside containerd that could not be lost: a container's record carries what is needed to start,
//! watch and explain it (see [`record`]), so a kubelet that was killed at any instant finds everything again by
//! listing. Starting takes the fewest calls there are, and only calls about the same container wait for each other.

mod connection;
mod containers;
mod events;
mod images;
mod locks;
mod pull;
mod record;
mod shims;
mod tasks;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use containerd_client::services::v1::{
    CreateRequest as CreateLease, DeleteRequest as DeleteLease, ListRequest as ListLeases,
};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore, broadcast};
use tokio::task::AbortHandle;
use tonic::metadata::{Ascii, MetadataValue};

use crate::bounds::Bounds;
use crate::registry::{self, RegistryOptions};
use crate::{
    ContainerConfig, ContainerStats, ContainerStatus, Error, EventStream, ExecConfig, ExecOutput,
    ExecSession, FsUsage, ImageInfo, ProgressSink, RegistryAuth, Resources, Result, Runtime, RuntimeEvent,
    TerminalSize, Version, Writer,
};
use connection::{Connection, SHORT, Tolerate, call};

const EVENT_BACKLOG: usize = 4096;
/// What the names of the leases begin with under which root file systems are prepared.
const LEASE: &str = "gantry-runtime";

/// How to reach containerd and what to tell it.
#[derive(Debug, Clone)]
pub struct ContainerdOptions {
    /// containerd's socket.
    pub socket: PathBuf,
    /// Our own part of what it holds. Nodes that share a machine need different ones.
    pub namespace: String,
    /// Which of its snapshotters holds root file systems.
    pub snapshotter: String,
    /// Its shim.
    pub runtime: String,
    /// The OCI runtime's name or path; the shim's default when empty.
    pub runtime_binary: String,
    /// Where the OCI runtime keeps its state; the shim's default when absent.
    pub runtime_root: Option<PathBuf>,
    /// The log driver's path.
    pub log_driver: PathBuf,
    /// For the pipes of execs; made when it does not exist.
    pub state_dir: PathBuf,
    /// The directory whose file system [`Runtime::fs_usage`] tells about.
    pub data_dir: PathBuf,
    /// Where images come from.
    pub registries: RegistryOptions,
    /// Pulls at the same time; more wait.
    pub max_parallel_pulls: usize,
}

impl Default for ContainerdOptions {
    fn default() -> Self {
        Self {
            socket: "/run/containerd/containerd.sock".into(),
            namespace: "gantry".into(),
            snapshotter: "overlayfs".into(),
            runtime: "io.containerd.runc.v2".into(),
            runtime_binary: "runc".into(),
            runtime_root: None,
            log_driver: "/usr/local/bin/gantry-log-driver".into(),
            state_dir: "/run/gantry/runtime".into(),
            data_dir: "/var/lib/containerd".into(),
            registries: RegistryOptions::default(),
            max_parallel_pulls: 5,
        }
    }
}

/// The runtime on containerd. Dropping it ends its background work; containers go on.
pub struct Containerd {
    inner: Arc<Inner>,
    follower: AbortHandle,
}

/// What calls and background work share.
struct Inner {
    options: ContainerdOptions,
    connection: Connection,
    bounds: Bounds,
    lease: OnceCell<MetadataValue<Ascii>>,
    events: broadcast::Sender<RuntimeEvent>,
    /// By container or by digest.
    locks: locks::Locks,
    /// Root file systems prepared for containers that are not started yet.
    prepared: Mutex<HashMap<String, containers::Prepared>>,
    /// Containers that are being given up: their ends are nobody's business.
    abandoned: Mutex<HashSet<String>>,
    images: images::Cache,
    registry: registry::Client,
    pulls: pull::Pulls,
    pull_slots: Semaphore,
}

impl Containerd {
    /// Prepares the connection and begins to follow containerd's events; containerd itself need not be up yet.
    ///
    /// # Errors
    /// When the options or this process's own bounds cannot be used.
    pub fn new(options: ContainerdOptions) -> Result<Self> {
        let bounds = Bounds::of_this_process()?;
        bounds.log();
        tasks::prepare_state_dir(&options.state_dir)?;
        let inner = Arc::new(Inner {
            connection: Connection::new(&options.socket, &options.namespace)?,
            bounds,
            lease: OnceCell::new(),
            events: broadcast::channel(EVENT_BACKLOG).0,
            locks: locks::Locks::default(),
            prepared: Mutex::default(),
            abandoned: Mutex::default(),
            images: images::Cache::default(),
            registry: registry::Client::new(&options.registries)?,
            pulls: pull::Pulls::default(),
            pull_slots: Semaphore::new(options.max_parallel_pulls.max(1)),
            options,
        });
        let follower = tokio::spawn(events::follow(Arc::clone(&inner))).abort_handle();
        Ok(Self { inner, follower })
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Inner {
    /// The lease under which root file systems are prepared: until a container refers to it, a snapshot would be
    /// collected as garbage. It is this process's own, and those of its predecessors go, and with them what one that
    /// was killed had prepared and not yet recorded.
    async fn lease(&self) -> Result<&MetadataValue<Ascii>> {
        let lease = async || {
            let id = format!("{LEASE}{}", uuid::Uuid::new_v4().simple());
            let lease = self.make_lease(id.clone(), HashMap::new()).await?;
            let request = self.connection.request(ListLeases { filters: Vec::new() }, SHORT);
            let leases = call("list leases", SHORT, self.connection.leases().list(request)).await?.leases;
            for old in leases.into_iter().filter(|old| old.id.starts_with(LEASE) && old.id != id) {
                let request = self.connection.request(DeleteLease { id: old.id, sync: false }, SHORT);
                call("delete lease", SHORT, self.connection.leases().delete(request)).await.or_missing()?;
            }
            Ok(lease)
        };
        self.lease.get_or_try_init(lease).await
    }

    async fn make_lease(&self, id: String, labels: HashMap<String, String>) -> Result<MetadataValue<Ascii>> {
        let request = self.connection.request(CreateLease { id: id.clone(), labels }, SHORT);
        match call("create lease", SHORT, self.connection.leases().create(request)).await {
            Ok(_) => {}
            Err(error) if error.is_already_exists() => {}
            Err(error) => return Err(error),
        }
        id.parse().map_err(|_| Error::Runtime { call: "create lease", reason: "its id is not ASCII".into() })
    }

    fn emit(&self, event: RuntimeEvent) {
        // Without subscribers there is nobody to tell.
        let _ = self.events.send(event);
    }
}

#[async_trait]
impl Runtime for Containerd {
    async fn version(&self) -> Result<Version> {
        let connection = &self.inner.connection;
        let request = connection.request((), SHORT);
        let version = call("version", SHORT, connection.version().version(request)).await?;
        Ok(Version { name: "containerd".into(), version: version.version.trim_start_matches('v').to_owned() })
    }

    async fn list_containers(&self) -> Result<Vec<ContainerStatus>> {
        Inner::list(&self.inner).await
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        Inner::status(&self.inner, id).await
    }

    async fn create_container(&self, config: ContainerConfig) -> Result<()> {
        config.validate()?;
        self.inner.create(config).await
    }

    async fn start_container(&self, id: &str) -> Result<ContainerStatus> {
        self.inner.start(id).await
    }

    fn abandon_container(&self, id: &str) {
        Arc::clone(&self.inner).abandon(id.to_owned());
    }

    async fn kill(&self, id: &str, signal: i32, all: bool) -> Result<()> {
        self.inner.kill(id, signal, all).await
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        self.inner.remove(id).await
    }

    async fn update_resources(&self, id: &str, resources: &Resources) -> Result<()> {
        self.inner.update_resources(id, resources).await
    }

    async fn exec(&self, id: &str, config: ExecConfig) -> Result<ExecSession> {
        Inner::exec(&self.inner, id, config).await
    }

    async fn exec_sync(
        &self,
        id: &str,
        argv: &[String],
        timeout: Duration,
        limit: usize,
    ) -> Result<ExecOutput> {
        let session = Inner::exec(&self.inner, id, ExecConfig::new(argv)).await?;
        crate::exec::collect(session, timeout, limit).await
    }

    async fn open_stdin(&self, id: &str) -> Result<Writer> {
        Inner::open_stdin(&self.inner, id).await
    }

    async fn resize_terminal(&self, id: &str, size: TerminalSize) -> Result<()> {
        self.inner.resize(id, "", size).await
    }

    async fn stats(&self, id: &str) -> Result<ContainerStats> {
        self.inner.stats(id).await
    }

    fn events(&self) -> EventStream {
        crate::runtime::stream(self.inner.events.subscribe())
    }

    async fn pull_image(
        &self,
        reference: &str,
        auth: Option<RegistryAuth>,
        progress: Option<ProgressSink>,
    ) -> Result<ImageInfo> {
        Inner::pull(&self.inner, reference, auth, progress).await
    }

    async fn image_status(&self, reference: &str) -> Result<Option<ImageInfo>> {
        self.inner.image_status(reference).await
    }

    async fn find_image(&self, reference: &str) -> Result<Option<ImageInfo>> {
        self.inner.find_image(reference).await
    }

    async fn list_images(&self) -> Result<Vec<ImageInfo>> {
        self.inner.list_images().await
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        self.inner.remove_image(reference).await
    }

    async fn fs_usage(&self) -> Result<FsUsage> {
        let path = &self.inner.options.data_dir;
        let stat = nix::sys::statvfs::statvfs(path)
            .map_err(|error| Error::Io { path: path.display().to_string(), reason: error.to_string() })?;
        let block = stat.fragment_size();
        Ok(FsUsage {
            time: SystemTime::now(),
            capacity_bytes: stat.blocks() * block,
            available_bytes: stat.blocks_available() * block,
            used_bytes: (stat.blocks() - stat.blocks_free()) * block,
            inodes: stat.files(),
            inodes_free: stat.files_available(),
        })
    }
}
