//! A runtime that keeps everything in memory, for tests of whoever drives a [`Runtime`].
//!
//! It obeys the same contract as containerd's (the battery in `tests/` runs against both), but processes are
//! scripted: [`FakeRuntime::on_start`] says what a container does, [`FakeRuntime::on_exec`] what an exec does, and
//! [`FakeRuntime::exit`] or [`FakeRuntime::oom`] make something happen now.

mod exec;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::{
    ContainerConfig, ContainerState, ContainerStats, ContainerStatus, Error, EventStream, ExecConfig,
    ExecOutput, ExecSession, FsUsage, ImageConfig, ImageInfo, ProgressSink, PullProgress, RegistryAuth,
    Resources, Result, Runtime, RuntimeEvent, TerminalSize, Version, Writer,
};

pub use exec::Exec;

const SIGKILL: i32 = 9;
const EVENT_BACKLOG: usize = 1024;

/// What a container's process does once it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Runs until a signal ends it.
    Run,
    /// Runs until SIGKILL ends it.
    IgnoreTerm,
    /// Ends at once.
    Exit(i32),
}

/// The operations that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named like the trait's methods")]
pub enum Operation {
    Version,
    List,
    Create,
    Start,
    Kill,
    Remove,
    Exec,
    Stats,
    Pull,
}

type StartScript = dyn Fn(&ContainerConfig) -> Behaviour + Send + Sync;
type ExecScript = dyn Fn(&str, &ExecConfig) -> Exec + Send + Sync;

/// The runtime in memory.
pub struct FakeRuntime {
    state: Mutex<State>,
    events: broadcast::Sender<RuntimeEvent>,
}

struct State {
    containers: BTreeMap<String, Container>,
    /// Images on the node by normalised name.
    images: BTreeMap<String, ImageInfo>,
    /// Images that can be pulled.
    registry: BTreeMap<String, ImageInfo>,
    failures: HashMap<Operation, VecDeque<Error>>,
    calls: HashMap<Operation, usize>,
    on_start: Arc<StartScript>,
    on_exec: Arc<ExecScript>,
    pull_delay: Duration,
    next_pid: u32,
}

struct Container {
    config: ContainerConfig,
    image_id: String,
    created_at: SystemTime,
    state: ContainerState,
    behaviour: Behaviour,
    oom: bool,
}

impl Default for FakeRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeRuntime {
    /// Neither containers nor images; containers run until they are told to end, execs succeed silently.
    pub fn new() -> Self {
        let state = State {
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            registry: BTreeMap::new(),
            failures: HashMap::new(),
            calls: HashMap::new(),
            on_start: Arc::new(|_| Behaviour::Run),
            on_exec: Arc::new(|_, _| Exec::default()),
            pull_delay: Duration::ZERO,
            next_pid: 1000,
        };
        Self { state: Mutex::new(state), events: broadcast::channel(EVENT_BACKLOG).0 }
    }

    /// Puts an image on the node.
    pub fn add_image(&self, reference: &str, config: ImageConfig) {
        let (name, image) = image(reference, config);
        self.state.lock().images.insert(name, image);
    }

    /// Puts an image where it can be pulled from.
    pub fn add_remote_image(&self, reference: &str, config: ImageConfig) {
        let (name, image) = image(reference, config);
        self.state.lock().registry.insert(name, image);
    }

    /// Scripts what containers do.
    pub fn on_start(&self, script: impl Fn(&ContainerConfig) -> Behaviour + Send + Sync + 'static) {
        self.state.lock().on_start = Arc::new(script);
    }

    /// Scripts what further processes do; the first argument is the container's id.
    pub fn on_exec(&self, script: impl Fn(&str, &ExecConfig) -> Exec + Send + Sync + 'static) {
        self.state.lock().on_exec = Arc::new(script);
    }

    /// Makes pulls take this long.
    pub fn set_pull_delay(&self, delay: Duration) {
        self.state.lock().pull_delay = delay;
    }

    /// Makes the next call of this kind fail; may be called several times for several failures.
    pub fn fail_next(&self, operation: Operation, error: Error) {
        self.state.lock().failures.entry(operation).or_default().push_back(error);
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: Operation) -> usize {
        self.state.lock().calls.get(&operation).copied().unwrap_or_default()
    }

    /// What a container was created with.
    pub fn config(&self, id: &str) -> Option<ContainerConfig> {
        self.state.lock().containers.get(id).map(|c| c.config.clone())
    }

    /// Ends a running container's process by itself. Nothing happens when it does not run.
    pub fn exit(&self, id: &str, code: i32) {
        self.finish(&mut self.state.lock(), id, code);
    }

    /// Has the kernel kill a running container for want of memory.
    pub fn oom(&self, id: &str) {
        let mut state = self.state.lock();
        if let Some(container) = state.containers.get_mut(id) {
            container.oom = true;
            self.emit(RuntimeEvent::Oom { id: id.to_owned() });
            self.finish(&mut state, id, 128 + SIGKILL);
        }
    }

    /// Pretends that events were missed.
    pub fn resync(&self) {
        self.emit(RuntimeEvent::Resync);
    }

    fn emit(&self, event: RuntimeEvent) {
        // Without subscribers there is nobody to tell.
        let _ = self.events.send(event);
    }

    fn finish(&self, state: &mut State, id: &str, exit_code: i32) {
        let Some(container) = state.containers.get_mut(id) else { return };
        let ContainerState::Running { pid, started_at } = container.state else { return };
        let time = SystemTime::now();
        let oom_killed = container.oom;
        container.state = ContainerState::Exited { exit_code, started_at, finished_at: time, oom_killed };
        let status = Box::new(container.status());
        self.emit(RuntimeEvent::Exit { id: id.to_owned(), pid, exit_code, time, oom_killed, status });
    }

    fn enter(&self, operation: Operation) -> Result<parking_lot::MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        *state.calls.entry(operation).or_default() += 1;
        match state.failures.get_mut(&operation).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }
}

impl State {
    fn container(&mut self, id: &str) -> Result<&mut Container> {
        self.containers.get_mut(id).ok_or_else(|| missing("container", id))
    }

    fn running(&mut self, id: &str) -> Result<&mut Container> {
        let container = self.container(id)?;
        if container.state.is_running() {
            return Ok(container);
        }
        let state = container.state.name().to_owned();
        Err(Error::WrongState { id: id.to_owned(), state, reason: "it must be running" })
    }

    fn image(&self, reference: &str) -> Option<&ImageInfo> {
        self.images.get(&normalise(reference)).or_else(|| self.images.values().find(|i| i.id == reference))
    }
}

impl Container {
    fn status(&self) -> ContainerStatus {
        ContainerStatus {
            id: self.config.id.clone(),
            image: self.config.image.clone(),
            image_id: self.image_id.clone(),
            labels: self.config.labels.clone(),
            created_at: self.created_at,
            state: self.state.clone(),
        }
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn version(&self) -> Result<Version> {
        drop(self.enter(Operation::Version)?);
        Ok(Version { name: "fake".into(), version: "1".into() })
    }

    async fn list_containers(&self) -> Result<Vec<ContainerStatus>> {
        Ok(self.enter(Operation::List)?.containers.values().map(Container::status).collect())
    }

    async fn container_status(&self, id: &str) -> Result<ContainerStatus> {
        Ok(self.state.lock().container(id)?.status())
    }

    async fn create_container(&self, config: ContainerConfig) -> Result<()> {
        config.validate()?;
        let mut state = self.enter(Operation::Create)?;
        if state.containers.contains_key(&config.id) {
            return Err(Error::AlreadyExists { kind: "container", name: config.id });
        }
        let image = state.image(&config.image).ok_or_else(|| missing("image", &config.image))?;
        let image_id = image.id.clone();
        let (created_at, state_) = (SystemTime::now(), ContainerState::Created);
        let id = config.id.clone();
        let container =
            Container { config, image_id, created_at, state: state_, behaviour: Behaviour::Run, oom: false };
        state.containers.insert(id, container);
        Ok(())
    }

    async fn start_container(&self, id: &str) -> Result<ContainerStatus> {
        let mut state = self.enter(Operation::Start)?;
        let script = Arc::clone(&state.on_start);
        state.next_pid += 1;
        let pid = state.next_pid;
        let container = state.container(id)?;
        if container.state != ContainerState::Created {
            let state = container.state.name().to_owned();
            return Err(Error::WrongState {
                id: id.to_owned(),
                state,
                reason: "it must never have been started",
            });
        }
        container.behaviour = script(&container.config);
        container.state = ContainerState::Running { pid, started_at: SystemTime::now() };
        let status = container.status();
        if let Behaviour::Exit(code) = container.behaviour {
            self.finish(&mut state, id, code);
        }
        Ok(status)
    }

    fn abandon_container(&self, id: &str) {
        self.state.lock().containers.remove(id);
    }

    async fn kill(&self, id: &str, signal: i32, _all: bool) -> Result<()> {
        let mut state = self.enter(Operation::Kill)?;
        if signal == SIGKILL || state.container(id)?.behaviour != Behaviour::IgnoreTerm {
            state.container(id)?;
            self.finish(&mut state, id, 128 + signal);
        }
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<()> {
        let mut state = self.enter(Operation::Remove)?;
        self.finish(&mut state, id, 128 + SIGKILL);
        state.containers.remove(id);
        Ok(())
    }

    async fn update_resources(&self, id: &str, resources: &Resources) -> Result<()> {
        self.state.lock().running(id)?.config.resources = resources.clone();
        Ok(())
    }

    async fn exec(&self, id: &str, config: ExecConfig) -> Result<ExecSession> {
        let mut state = self.enter(Operation::Exec)?;
        state.running(id)?;
        let script = Arc::clone(&state.on_exec);
        drop(state);
        Ok(exec::run(script(id, &config), &config))
    }

    async fn exec_sync(
        &self,
        id: &str,
        argv: &[String],
        timeout: Duration,
        limit: usize,
    ) -> Result<ExecOutput> {
        let mut config = ExecConfig::new(argv);
        config.timeout = Some(timeout);
        crate::exec::collect(self.exec(id, config).await?, timeout, limit).await
    }

    async fn open_stdin(&self, id: &str) -> Result<Writer> {
        let mut state = self.state.lock();
        let container = state.running(id)?;
        if !container.config.stdin {
            return Err(Error::NotFound { kind: "standard input", name: id.to_owned() });
        }
        Ok(Box::pin(tokio::io::sink()))
    }

    async fn resize_terminal(&self, id: &str, _size: TerminalSize) -> Result<()> {
        self.state.lock().running(id).map(drop)
    }

    async fn stats(&self, id: &str) -> Result<ContainerStats> {
        let mut state = self.enter(Operation::Stats)?;
        state.running(id)?;
        Ok(ContainerStats {
            time: SystemTime::now(),
            cpu_usage_ns: 1_000_000,
            memory_working_set_bytes: 1 << 20,
            memory_usage_bytes: 2 << 20,
            pids: 1,
        })
    }

    fn events(&self) -> EventStream {
        crate::runtime::stream(self.events.subscribe())
    }

    async fn pull_image(
        &self,
        reference: &str,
        _auth: Option<RegistryAuth>,
        progress: Option<ProgressSink>,
    ) -> Result<ImageInfo> {
        let delay = self.enter(Operation::Pull)?.pull_delay;
        tokio::time::sleep(delay).await;
        let name = normalise(reference);
        let mut state = self.state.lock();
        let Some(image) = state.registry.get(&name).cloned() else {
            return Err(Error::Registry {
                reference: reference.to_owned(),
                registry: name.split('/').next().unwrap_or_default().to_owned(),
                status: 404,
                message: "MANIFEST_UNKNOWN: manifest unknown".into(),
            });
        };
        state.images.insert(name, image.clone());
        if let Some(progress) = progress {
            let bytes = image.size_bytes;
            progress.send_replace(PullProgress {
                done_bytes: bytes,
                total_bytes: bytes,
                unpacked_layers: 1,
                layers: 1,
            });
        }
        Ok(image)
    }

    async fn image_status(&self, reference: &str) -> Result<Option<ImageInfo>> {
        Ok(self.state.lock().image(reference).cloned())
    }

    async fn find_image(&self, reference: &str) -> Result<Option<ImageInfo>> {
        let nameless = |image: ImageInfo| ImageInfo { repo_tags: vec![], repo_digests: vec![], ..image };
        Ok(self.state.lock().image(reference).cloned().map(nameless))
    }

    async fn list_images(&self) -> Result<Vec<ImageInfo>> {
        Ok(self.state.lock().images.values().cloned().collect())
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        let name = normalise(reference);
        self.state.lock().images.retain(|key, image| *key != name && image.id != reference);
        Ok(())
    }

    async fn fs_usage(&self) -> Result<FsUsage> {
        Ok(FsUsage {
            time: SystemTime::now(),
            capacity_bytes: 100 << 30,
            available_bytes: 60 << 30,
            used_bytes: 40 << 30,
            inodes: 1 << 20,
            inodes_free: 1 << 19,
        })
    }
}

fn missing(kind: &'static str, name: &str) -> Error {
    Error::NotFound { kind, name: name.to_owned() }
}

fn image(reference: &str, config: ImageConfig) -> (String, ImageInfo) {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let name = normalise(reference);
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let digest = format!("sha256:{:064x}", hasher.finish());
    let repository = name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository);
    let info = ImageInfo {
        id: digest.clone(),
        repo_digests: vec![format!("{repository}@{digest}")],
        repo_tags: vec![name.clone()],
        digest,
        size_bytes: 1 << 20,
        config,
    };
    (name, info)
}

/// Names are compared with the tag spelled out.
fn normalise(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}
