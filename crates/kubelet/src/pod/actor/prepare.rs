//! Sandbox and volumes: what has to be there before containers start.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::core::v1::{Pod, PodSpec, VolumeSource};
use gantry_pod_network::{PodNetwork, PodRef, SandboxSpec};
use tokio_util::sync::CancellationToken;

use super::message::{Connected, Trouble};
use crate::container::env::Objects;
use crate::container::fields::FieldContext;
use crate::container::ports::host_ports;
use crate::host::Host;
use crate::paths::PodPaths;
use crate::pod::actor::references::Followed;
use crate::pod::actor::tokens::Held;
use crate::starts::Phases;
use crate::volumes::tokens::Tokens;
use crate::volumes::{atomic, dns, hosts, payload, setup};

/// Everything a pod's tasks need to know.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) host: Arc<Host>,
    pub(super) pod: Arc<Pod>,
    pub(super) paths: PodPaths,
    pub(super) references: Arc<Followed>,
    pub(super) tokens: Arc<Held>,
    /// Cancelled when the pod is to end.
    pub(super) stop: CancellationToken,
}

impl Job {
    pub(super) fn pod_ref(&self) -> PodRef {
        let meta = self.pod.metadata.clone().unwrap_or_default();
        PodRef::new(meta.uid, meta.namespace, meta.name)
    }

    fn hostname(&self) -> String {
        let name = self.pod.metadata.as_ref().map_or("", |meta| meta.name.as_str());
        self.pod.spec.as_ref().map(|spec| hosts::hostname(spec, name)).unwrap_or_default()
    }

    /// Waits for `future` unless the pod is to end.
    pub(super) async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, Trouble> {
        self.stop.run_until_cancelled(future).await.ok_or(Trouble::Cancelled)
    }
}

/// The node's pod network, as soon as there is one.
async fn network(job: &Job) -> Result<Arc<dyn PodNetwork>, Trouble> {
    let mut network = job.host.network.clone();
    let ready = job.unless_stopped(network.wait_for(Option::is_some)).await?;
    let network = ready.ok().and_then(|network| network.clone());
    network.ok_or(Trouble::Failed { reason: "NetworkNotReady", message: "the node is shutting down".into() })
}

/// Makes the pod's namespaces and cgroup, and connects it.
pub(super) async fn sandbox(job: Job) -> Result<Connected, Trouble> {
    let failed = |message: String| Trouble::Failed { reason: "FailedCreatePodSandBox", message };
    let spec = job.pod.spec.clone().unwrap_or_default();
    let pod = job.pod_ref();
    let sysctls = spec.security_context.iter().flat_map(|context| &context.sysctls);
    let sandbox = SandboxSpec {
        network: !spec.host_network,
        ipc: !spec.host_ipc,
        hostname: (!spec.host_network).then(|| job.hostname()),
        sysctls: sysctls.map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect(),
    };
    let mut phases = Phases::begin(&job.host.metrics);
    let cgroups = job.host.cgroups.clone();
    let (cgroup_spec, uid) = (spec.clone(), pod.uid.clone());
    let cgroup = tokio::task::spawn_blocking(move || cgroups.create(&cgroup_spec, &uid));
    let namespaces =
        job.host.sandboxes.create(&pod.uid, &sandbox).await.map_err(|error| failed(chain(&error)))?;
    phases.done("namespaces");
    match cgroup.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(failed(format!("cannot make the pod's cgroup: {error}"))),
        Err(error) => return Err(failed(format!("cannot make the pod's cgroup: {error}"))),
    }
    phases.done("cgroup");
    let addresses = match &namespaces.network {
        Some(namespace) => {
            let network = network(&job).await?;
            let addresses = network.setup(&pod, namespace).await;
            let addresses = addresses.map_err(|error| failed(chain(&error)))?.addresses;
            claim_ports(&job, &pod, &spec, &addresses).await.map_err(failed)?;
            addresses
        }
        None => job.host.facts.addresses.clone(),
    };
    phases.done("network");
    let (writer, shown) = (job.clone(), addresses.clone());
    blocking(move || write_hosts(&writer, &shown)).await?;
    phases.done("hosts");
    job.host.metrics.run_sandbox.observe(phases.elapsed().as_secs_f64());
    tracing::debug!(pod = pod.name, namespace = pod.namespace, "sandbox made in {phases}");
    Ok(Connected { namespaces, addresses })
}

/// Leads ports of the node to the pod, where it asks for some.
async fn claim_ports(job: &Job, pod: &PodRef, spec: &PodSpec, addresses: &[IpAddr]) -> Result<(), String> {
    let ports = host_ports(spec)?;
    if ports.is_empty() {
        return Ok(());
    }
    let own = addresses.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    let own = own.ok_or("hostPort: the pod has no IPv4 address to lead the node's ports to")?;
    job.host.host_ports.claim(&pod.uid, own, ports).await.map_err(|error| chain(&error))
}

/// An error with all its causes: the outermost alone seldom says what to do.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn mount_failed(message: String) -> Trouble {
    Trouble::Failed { reason: "FailedMount", message }
}

/// Makes all volumes; answers with where each is.
pub(super) async fn volumes(job: Job) -> Result<BTreeMap<String, PathBuf>, Trouble> {
    let shown = shown(&job).await?;
    // Fields that need the pod's address are filled in again once it is known.
    let context = job.host.field_context(&[]);
    blocking(move || make_volumes(&job, &shown, &context)).await
}

/// Writes the volumes that show objects anew.
pub(super) async fn refresh(job: Job, addresses: Vec<IpAddr>) -> Result<(), Trouble> {
    let shown = shown(&job).await?;
    let context = job.host.field_context(&addresses);
    blocking(move || {
        let spec = job.pod.spec.clone().unwrap_or_default();
        for volume in &spec.volumes {
            if let Some(source) = &volume.volume_source {
                show(&job, &volume.name, source, &shown, &context)?;
            }
        }
        Ok(())
    })
    .await
}

/// What volumes show: the objects that the pod refers to, and its tokens.
struct Shown {
    objects: Objects,
    tokens: Tokens,
}

async fn shown(job: &Job) -> Result<Shown, Trouble> {
    let tokens = job.tokens.obtain(job.host.cluster.as_ref(), &job.pod);
    let both = async { tokio::join!(job.references.objects(), tokens) };
    let (objects, tokens) = job.unless_stopped(both).await?;
    Ok(Shown { objects, tokens: tokens.map_err(mount_failed)? })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(mount_failed(error.to_string())),
    }
}

fn make_volumes(
    job: &Job,
    all: &Shown,
    context: &FieldContext,
) -> Result<BTreeMap<String, PathBuf>, Trouble> {
    let spec = job.pod.spec.clone().unwrap_or_default();
    let group = group(job);
    let mut made = BTreeMap::new();
    let root = job.paths.root();
    std::fs::create_dir_all(root).map_err(|error| mount_failed(format!("{}: {error}", root.display())))?;
    for volume in &spec.volumes {
        let shown = match &volume.volume_source {
            Some(source) => show(job, &volume.name, source, all, context)?,
            None => None,
        };
        let path = match shown {
            Some(path) => path,
            None => setup::volume(volume, &job.paths, group).map_err(|error| {
                mount_failed(format!("MountVolume.SetUp failed for volume {:?}: {error}", volume.name))
            })?,
        };
        made.insert(volume.name.clone(), path);
    }
    let namespace = job.pod.metadata.as_ref().map_or("", |meta| meta.namespace.as_str());
    let resolver = dns::resolv_conf(&spec, namespace, &job.host.facts.dns);
    write(&job.paths.resolv_conf(), &resolver)?;
    write(&job.paths.hostname(), &format!("{}\n", job.hostname()))?;
    Ok(made)
}

/// Writes a pod's `/etc/hosts`, which needs its addresses. Containers see the file itself, so it is written in place.
fn write_hosts(job: &Job, addresses: &[IpAddr]) -> Result<(), Trouble> {
    let spec = job.pod.spec.clone().unwrap_or_default();
    let text = if spec.host_network {
        let node = std::fs::read_to_string("/etc/hosts");
        hosts::node_file(
            &node.map_err(|error| mount_failed(format!("/etc/hosts: {error}")))?,
            &spec.host_aliases,
        )
    } else {
        let namespace = job.pod.metadata.as_ref().map_or("", |meta| meta.namespace.as_str());
        let hostname = job.hostname();
        let domain = hosts::domain_name(&spec, &hostname, namespace, &job.host.facts.dns.domain);
        hosts::pod_file(addresses, &hostname, domain.as_deref(), &spec.host_aliases)
    };
    std::fs::create_dir_all(job.paths.root()).map_err(|error| mount_failed(error.to_string()))?;
    write(&job.paths.hosts(), &text)
}

fn write(path: &std::path::Path, text: &str) -> Result<(), Trouble> {
    if std::fs::read_to_string(path).is_ok_and(|current| current == text) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| mount_failed(format!("{}: {error}", path.display())))
}

/// The group that owns the pod's volumes.
fn group(job: &Job) -> Option<u32> {
    let context = job.pod.spec.as_ref()?.security_context.as_ref()?;
    u32::try_from(context.fs_group?).ok()
}

/// Writes a volume that shows objects; `None` for any other.
fn show(
    job: &Job,
    name: &str,
    source: &VolumeSource,
    all: &Shown,
    context: &FieldContext,
) -> Result<Option<PathBuf>, Trouble> {
    let failed =
        |error: String| mount_failed(format!("MountVolume.SetUp failed for volume {name:?}: {error}"));
    let Some(files) = payload::payload(source, &job.pod, &all.objects, &all.tokens, context) else {
        return Ok(None);
    };
    let files = files.map_err(|error| failed(error.to_string()))?;
    let path = if is_secret(source) { job.paths.secret(name) } else { job.paths.volume(name) };
    atomic::write(&path, &files, group(job)).map_err(|error| failed(error.to_string()))?;
    Ok(Some(path))
}

/// Whether a volume's files are to stay in memory.
fn is_secret(source: &VolumeSource) -> bool {
    source.secret.is_some()
        || source
            .projected
            .iter()
            .flat_map(|projected| &projected.sources)
            .any(|part| part.secret.is_some() || part.service_account_token.is_some())
}
