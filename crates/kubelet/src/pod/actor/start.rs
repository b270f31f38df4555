//! Bringing one instance of a container to life.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_api::core::v1::{Container, PodSpec, Secret};
use gantry_container_runtime::{
    ContainerState, ContainerStatus, Error as RuntimeError, ImageInfo, RegistryAuth,
};
use tokio::sync::mpsc;

use super::message::{Connected, Message, StartTrouble, Trouble};
use super::prepare::Job;
use crate::cluster::Severity;
use crate::container::config::{Ingredients, container_config};
use crate::container::env::{Objects, environment};
use crate::container::hook;
use crate::container::image::PullPolicy;
use crate::container::resources::pod_resources;
use crate::credentials;
use crate::identity::Identity;
use crate::probe::Target;
use crate::starts::Phases;
use crate::volumes::setup;

/// A post-start hook that takes longer is given up.
const HOOK_LIMIT: Duration = Duration::from_secs(600);
const SIGKILL: i32 = 9;
/// How long the runtime may take to say what came of a start, and how often it is asked.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What one instance needs besides what its pod's tasks know.
pub(super) struct StartJob {
    pub(super) job: Job,
    pub(super) container: Arc<Container>,
    /// The instance's id, given to no other.
    pub(super) id: String,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) connected: Connected,
    /// Whose processes it is to see.
    pub(super) target: Option<Neighbour>,
    pub(super) volumes: BTreeMap<String, PathBuf>,
    /// An instance that is so old that nobody asks for it any more.
    pub(super) obsolete: Option<(String, u32)>,
    /// Whether it gets other resources than the instance before it, and the pod with it.
    pub(super) resized: bool,
    pub(super) mailbox: mpsc::Sender<Message>,
}

/// Another container of the pod.
pub(super) struct Neighbour {
    pub(super) name: String,
    /// Its newest instance, where it has one.
    pub(super) id: Option<String>,
}

fn failed(reason: &'static str, message: impl ToString) -> StartTrouble {
    StartTrouble::Failed { reason, message: message.to_string() }
}

impl From<Trouble> for StartTrouble {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Cancelled => Self::Cancelled,
            Trouble::Failed { reason, message } => Self::Failed { reason, message },
        }
    }
}

impl StartJob {
    /// Pulls, creates and starts, and runs the post-start hook. Answers with the state after the start, which is told
    /// before a hook runs, and may be overtaken by then.
    pub(super) async fn run(self) -> Result<ContainerStatus, StartTrouble> {
        let host = &self.job.host;
        let mut phases = Phases::begin(&host.metrics);
        let id = self.id.as_str();
        tracing::debug!(id, "container is to start");
        self.remove_obsolete().await;
        let objects = self.job.unless_stopped(self.job.references.objects()).await?;
        phases.done("references");
        let image = self.image(&objects).await?;
        phases.done("image");
        let turn = self.job.unless_stopped(host.starts.turn()).await?;
        phases.done("turn");
        // As late as can be: a process that ends leaves its number to others.
        let target = self.process_of_target().await?;
        self.create(&image, &objects, target).await?;
        phases.done("create");
        tracing::debug!(id, "container made in {phases}");
        if self.job.stop.is_cancelled() {
            host.runtime.abandon_container(id);
            return Err(StartTrouble::Cancelled);
        }
        let same = |found: Option<u32>| {
            if found == target { Ok(()) } else { Err(self.target_not_running()) }
        };
        if let Err(trouble) = self.process_of_target().await.and_then(same) {
            host.runtime.abandon_container(id);
            return Err(trouble);
        }
        let status = match host.runtime.start_container(id).await {
            Ok(status) => status,
            Err(error) if error.is_transient() => self.after_cut_off(error).await?,
            Err(error) => return Err(self.never_ran(&image, error).await),
        };
        drop(turn);
        phases.done("start");
        tracing::debug!(id, "container started in {phases}");
        self.event(Severity::Normal, "Started", &format!("Container {} started", self.container.name));
        if self.container.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.post_start.is_some()) {
            // Nobody listens any more only when the kubelet ends.
            let _ = self.mailbox.send(Message::Container(status.clone())).await;
            self.post_start(id).await;
        }
        Ok(status)
    }

    /// What came of a start whose answer was lost, as soon as the runtime tells: either the container runs, or it is
    /// given up.
    async fn after_cut_off(&self, error: RuntimeError) -> Result<ContainerStatus, StartTrouble> {
        let runtime = &self.job.host.runtime;
        let asking = async {
            loop {
                match runtime.container_status(&self.id).await {
                    Err(error) if error.is_transient() => tokio::time::sleep(ASK_AGAIN).await,
                    answer => return answer.ok().filter(|status| status.state != ContainerState::Created),
                }
            }
        };
        match tokio::time::timeout(ANSWER_LIMIT, asking).await {
            Ok(Some(status)) => Ok(status),
            Ok(None) | Err(_) => {
                runtime.abandon_container(&self.id);
                Err(failed("RunContainerError", error))
            }
        }
    }

    /// The first process of the container whose processes this one is to see, if it is to see any.
    async fn process_of_target(&self) -> Result<Option<u32>, StartTrouble> {
        let Some(target) = &self.target else { return Ok(None) };
        let Some(id) = &target.id else { return Err(self.target_not_running()) };
        match self.job.host.runtime.container_status(id).await.map(|status| status.state) {
            Ok(ContainerState::Running { pid, .. }) => Ok(Some(pid)),
            Ok(_) | Err(RuntimeError::NotFound { .. }) => Err(self.target_not_running()),
            Err(error) => Err(failed("RuntimeUnavailable", error)),
        }
    }

    /// It may be later.
    fn target_not_running(&self) -> StartTrouble {
        let name = self.target.as_ref().map_or("", |target| target.name.as_str());
        let text = format!("target container {name:?} is not running");
        self.event(Severity::Warning, "Failed", &format!("Error: {text}"));
        failed("CreateContainerConfigError", text)
    }

    fn identity(&self) -> Identity {
        let pod = self.job.pod_ref();
        Identity {
            pod_uid: pod.uid,
            namespace: pod.namespace,
            pod: pod.name,
            container: self.container.name.clone(),
            attempt: self.attempt,
            crashes: self.crashes,
            image: self.container.image.clone(),
        }
    }

    fn event(&self, severity: Severity, reason: &str, message: &str) {
        let container = Some(self.container.name.as_str());
        self.job.host.cluster.event(&self.job.pod, container, severity, reason, message);
    }

    /// Only the last ended instance is kept beside the newest.
    async fn remove_obsolete(&self) {
        let Some((id, attempt)) = &self.obsolete else { return };
        if let Err(error) = self.job.host.runtime.remove_container(id).await {
            tracing::warn!(%error, id, "an old container could not be removed; it goes with its pod");
        }
        let paths = &self.job.paths;
        let name = &self.container.name;
        for path in [paths.log(name, *attempt), paths.termination_log(name, *attempt)] {
            // What is not there any more need not be removed, and all goes with the pod.
            let _ = tokio::fs::remove_file(path).await;
        }
    }

    async fn image(&self, objects: &Objects) -> Result<ImageInfo, StartTrouble> {
        let name = &self.container.image;
        if name.is_empty() {
            return Err(failed("InvalidImageName", "the container names no image"));
        }
        let runtime = &self.job.host.runtime;
        let policy = PullPolicy::of(&self.container.image_pull_policy, name);
        if policy != PullPolicy::Always {
            match runtime.find_image(name).await {
                Ok(Some(image)) => {
                    let text = format!("Container image {name:?} already present on machine");
                    self.event(Severity::Normal, "Pulled", &text);
                    return Ok(image);
                }
                Ok(None) => {}
                Err(error) => return Err(pull_trouble(&error)),
            }
        }
        if policy == PullPolicy::Never {
            let text = format!("Container image {name:?} is not present with pull policy of Never");
            self.event(Severity::Warning, "ErrImageNeverPull", &text);
            return Err(failed("ErrImageNeverPull", text));
        }
        self.event(Severity::Normal, "Pulling", &format!("Pulling image {name:?}"));
        let began = Instant::now();
        let pull = runtime.pull_image(name, self.credentials(objects), None);
        match self.job.unless_stopped(pull).await? {
            Ok(image) => {
                let took = began.elapsed();
                let text = format!(
                    "Successfully pulled image {name:?} in {took:.3?}. Image size: {} bytes.",
                    image.size_bytes
                );
                self.event(Severity::Normal, "Pulled", &text);
                let size = if image.size_bytes < 100 << 20 { "0-100MB" } else { ">100MB" };
                self.job.host.metrics.image_pull.with_label_values(&[size]).observe(took.as_secs_f64());
                Ok(image)
            }
            Err(error) => {
                let text = format!("Failed to pull image {name:?}: {error}");
                self.event(Severity::Warning, "Failed", &text);
                self.event(Severity::Warning, "Failed", "Error: ErrImagePull");
                Err(pull_trouble(&error))
            }
        }
    }

    fn credentials(&self, objects: &Objects) -> Option<RegistryAuth> {
        let spec = self.job.pod.spec.as_ref()?;
        let secrets = spec.image_pull_secrets.iter().filter_map(|secret| objects.secrets.get(&secret.name));
        let secrets: Vec<&Secret> = secrets.map(Arc::as_ref).collect();
        credentials::find(&secrets, &self.container.image)
    }

    async fn create(
        &self,
        image: &ImageInfo,
        objects: &Objects,
        target: Option<u32>,
    ) -> Result<(), StartTrouble> {
        let identity = &self.identity();
        let config_error = |error: &dyn ToString| {
            let text = error.to_string();
            self.event(Severity::Warning, "Failed", &format!("Error: {text}"));
            failed("CreateContainerConfigError", text)
        };
        let host = &self.job.host;
        let pod = &self.job.pod;
        let services = self.job.unless_stopped(host.cluster.services(&identity.namespace)).await?;
        let context = host.field_context(&self.connected.addresses);
        let env = environment(pod, &self.container, objects, &services, &context)
            .map_err(|error| config_error(&error))?;
        let paths = &self.job.paths;
        let termination_log = paths.termination_log(&self.container.name, self.attempt);
        let log = paths.log(&self.container.name, self.attempt);
        let spec = pod.spec.clone().unwrap_or_default();
        let mut files = vec![
            ("/etc/hosts".to_owned(), paths.hosts()),
            ("/etc/resolv.conf".to_owned(), paths.resolv_conf()),
        ];
        if !spec.host_network {
            files.push(("/etc/hostname".to_owned(), paths.hostname()));
        }
        let cgroup = host.cgroups.pod(&spec, &identity.pod_uid);
        let mut namespaces = self.connected.namespaces.clone();
        if let Some(pid) = target {
            namespaces.pid = Some(format!("/proc/{pid}/ns/pid").into());
        }
        let ingredients = Ingredients {
            identity,
            id: &self.id,
            env,
            image: &image.config,
            image_id: &image.id,
            namespaces,
            volumes: &self.volumes,
            files,
            termination_log: &termination_log,
            log: &log,
            cgroup: &cgroup,
            node_memory: host.facts.memory_bytes,
        };
        let config =
            container_config(pod, &self.container, ingredients).map_err(|error| config_error(&error))?;
        self.make_files(&config, termination_log).await.map_err(|text| config_error(&text))?;
        if self.resized {
            self.limit_pod(spec, identity.pod_uid.clone()).await.map_err(|text| config_error(&text))?;
        }
        match host.runtime.create_container(config).await {
            Ok(()) => {}
            Err(error) => {
                host.runtime.abandon_container(&self.id);
                self.event(Severity::Warning, "Failed", &format!("Error: {error}"));
                return Err(failed("CreateContainerError", error));
            }
        }
        self.event(Severity::Normal, "Created", &format!("Container {} created", self.container.name));
        Ok(())
    }

    /// Gives the pod the limits that follow from those of its containers.
    async fn limit_pod(&self, spec: PodSpec, uid: String) -> Result<(), String> {
        let host = Arc::clone(&self.job.host);
        let work =
            tokio::task::spawn_blocking(move || host.cgroups.change(&spec, &uid, &pod_resources(&spec)));
        let outcome = work.await.map_err(|error| error.to_string())?;
        outcome.map_err(|error| format!("cgroup of the pod: {error}"))
    }

    /// The termination log has to be there to be mounted, and so do sub-paths.
    async fn make_files(
        &self,
        config: &gantry_container_runtime::ContainerConfig,
        termination_log: PathBuf,
    ) -> Result<(), String> {
        use gantry_container_runtime::MountSource;
        let sub_paths: Vec<(PathBuf, PathBuf)> = self
            .container
            .volume_mounts
            .iter()
            .filter(|mount| !mount.sub_path.is_empty() || !mount.sub_path_expr.is_empty())
            .filter_map(|mount| {
                let volume = self.volumes.get(&mount.name)?.clone();
                let destination = std::path::Path::new(&mount.mount_path);
                let found = config.mounts.iter().find(|m| m.destination == destination)?;
                match &found.source {
                    MountSource::Host(path) => Some((volume, path.clone())),
                    MountSource::Tmpfs { .. } => None,
                }
            })
            .collect();
        let work = tokio::task::spawn_blocking(move || {
            for (volume, path) in sub_paths {
                setup::sub_path(&volume, &path).map_err(|error| error.to_string())?;
            }
            let io = |error: std::io::Error| format!("{}: {error}", termination_log.display());
            if let Some(parent) = termination_log.parent() {
                std::fs::create_dir_all(parent).map_err(io)?;
            }
            std::fs::OpenOptions::new().create(true).append(true).open(&termination_log).map_err(io)?;
            // Whoever the container runs as has to be able to write it.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            std::fs::set_permissions(&termination_log, mode).map_err(io)
        });
        work.await.map_err(|error| error.to_string())?
    }

    /// The container exists and cannot run: that is an instance that has ended.
    async fn never_ran(&self, image: &ImageInfo, error: RuntimeError) -> StartTrouble {
        let id = self.id.clone();
        let message = error.to_string();
        self.event(Severity::Warning, "Failed", &format!("Error: {message}"));
        if let Err(error) = self.job.host.runtime.remove_container(&id).await {
            tracing::warn!(%error, id, "a container that could not be started could not be removed either");
        }
        let image_id = image.id.clone();
        StartTrouble::NeverRan { id, attempt: self.attempt, crashes: self.crashes, image_id, message }
    }

    /// Runs the post-start hook. A container whose hook fails is killed, as the API documents.
    async fn post_start(&self, id: &str) {
        let Some(hook) = self.container.lifecycle.as_ref().and_then(|l| l.post_start.as_ref()) else {
            return;
        };
        let target = Target {
            runtime: Arc::clone(&self.job.host.runtime),
            id: id.to_owned(),
            address: self.connected.addresses.first().copied(),
            container: Arc::clone(&self.container),
        };
        let Ok(result) = self.job.unless_stopped(hook::run(&target, hook, HOOK_LIMIT)).await else { return };
        let Err(message) = result else { return };
        self.event(Severity::Warning, "FailedPostStartHook", &format!("PostStartHook failed: {message}"));
        self.event(Severity::Normal, "Killing", "FailedPostStartHook");
        if let Err(error) = self.job.host.runtime.kill(id, SIGKILL, true).await {
            tracing::warn!(%error, id, "a container whose post-start hook failed could not be killed");
        }
    }
}

fn pull_trouble(error: &RuntimeError) -> StartTrouble {
    match error {
        RuntimeError::InvalidReference { .. } => failed("InvalidImageName", error),
        RuntimeError::Unavailable { .. } => failed("RuntimeUnavailable", error),
        _ => failed("ErrImagePull", error),
    }
}
