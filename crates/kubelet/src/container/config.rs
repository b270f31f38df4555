//! From a pod's specification to what the runtime is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantry_api::core::v1::{Container, Pod, PodSpec};
use gantry_container_runtime::{
    ContainerConfig, ImageConfig, LogConfig, Mount, MountSource, Namespace, Namespaces, Propagation,
};

use super::expand::expand;
use super::resources::container_resources;
use super::security::{SecurityError, security, user};
use crate::identity::{Identity, TERMINATION_LOG};

/// What is known by the time a container is created.
#[derive(Debug, Clone)]
pub struct Ingredients<'a> {
    /// Which instance this is.
    pub identity: &'a Identity,
    /// Its id.
    pub id: &'a str,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// What its image says.
    pub image: &'a ImageConfig,
    /// Its image, as the runtime names it.
    pub image_id: &'a str,
    /// The pod's namespaces.
    pub namespaces: PodNamespaces,
    /// Where the pod's volumes are, by name.
    pub volumes: &'a BTreeMap<String, PathBuf>,
    /// Files that every container gets: path in the container, path on the host.
    pub files: Vec<(String, PathBuf)>,
    /// Where it leaves its last words, on the host.
    pub termination_log: &'a Path,
    /// Where its output goes.
    pub log: &'a Path,
    /// The pod's cgroup.
    pub cgroup: &'a str,
    /// The node's memory in bytes.
    pub node_memory: i64,
}

/// The pinned namespaces of a pod; what is absent is the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodNamespaces {
    /// Network.
    pub network: Option<PathBuf>,
    /// IPC.
    pub ipc: Option<PathBuf>,
    /// Host name.
    pub uts: Option<PathBuf>,
    /// Processes, where the pod's containers share them.
    pub pid: Option<PathBuf>,
}

/// Why a container cannot be created as it is specified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Its security context forbids it.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A mount names a volume that the pod does not have.
    #[error("volumeMounts: volume {0:?} is not defined in the pod")]
    UnknownVolume(String),
    /// A path that would leave the volume.
    #[error("volumeMounts: subPath {0:?} must be relative and must not contain '..'")]
    SubPath(String),
}

/// What the runtime is told.
pub fn container_config(
    pod: &Pod,
    container: &Container,
    ingredients: Ingredients<'_>,
) -> Result<ContainerConfig, ConfigError> {
    let spec = pod.spec.clone().unwrap_or_default();
    let lookup =
        |name: &str| ingredients.env.iter().rev().find(|(key, _)| key == name).map(|(_, v)| v.clone());
    let expanded = |list: &[String]| list.iter().map(|text| expand(text, lookup)).collect();
    let mut labels = ingredients.identity.labels();
    labels.insert(TERMINATION_LOG.to_owned(), ingredients.termination_log.display().to_string());
    Ok(ContainerConfig {
        id: ingredients.id.to_owned(),
        image: ingredients.image_id.to_owned(),
        labels,
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: Some(container.working_dir.clone()).filter(|dir| !dir.is_empty()),
        user: user(&spec, container, ingredients.image)?,
        mounts: mounts(container, &ingredients, lookup)?,
        namespaces: namespaces(&spec, &ingredients.namespaces),
        hostname: None,
        cgroup_parent: ingredients.cgroup.to_owned(),
        resources: container_resources(&spec, container, ingredients.node_memory),
        security: security(container),
        sysctls: BTreeMap::new(),
        devices: Vec::new(),
        rlimits: Vec::new(),
        tty: container.tty,
        stdin: container.stdin,
        log: Some(LogConfig::new(ingredients.log)),
        env: ingredients.env,
    })
}

fn namespaces(spec: &PodSpec, pod: &PodNamespaces) -> Namespaces {
    let pinned = |path: &Option<PathBuf>| path.clone().map_or(Namespace::Host, Namespace::Path);
    let pid = match &pod.pid {
        Some(path) => Namespace::Path(path.clone()),
        None if spec.host_pid => Namespace::Host,
        None => Namespace::Private,
    };
    Namespaces { network: pinned(&pod.network), ipc: pinned(&pod.ipc), uts: pinned(&pod.uts), pid }
}

fn mounts(
    container: &Container,
    ingredients: &Ingredients<'_>,
    lookup: impl Fn(&str) -> Option<String> + Copy,
) -> Result<Vec<Mount>, ConfigError> {
    let mut mounts = Vec::new();
    for mount in &container.volume_mounts {
        let volume = ingredients.volumes.get(&mount.name);
        let mut source = volume.ok_or_else(|| ConfigError::UnknownVolume(mount.name.clone()))?.clone();
        let expanded = expand(&mount.sub_path_expr, lookup);
        let sub_path = if mount.sub_path.is_empty() { &expanded } else { &mount.sub_path };
        if !sub_path.is_empty() {
            if sub_path.starts_with('/') || sub_path.split('/').any(|part| part == "..") {
                return Err(ConfigError::SubPath(sub_path.clone()));
            }
            source.push(sub_path);
        }
        mounts.push(Mount {
            source: MountSource::Host(source),
            destination: PathBuf::from(&mount.mount_path),
            read_only: mount.read_only,
            propagation: match mount.mount_propagation.as_deref() {
                Some("HostToContainer") => Propagation::HostToContainer,
                Some("Bidirectional") => Propagation::Bidirectional,
                _ => Propagation::Private,
            },
        });
    }
    let taken = |path: &str| container.volume_mounts.iter().any(|mount| mount.mount_path == path);
    let own = ingredients.files.iter().filter(|(path, _)| !taken(path));
    let last_words = Some(container.termination_message_path.as_str()).filter(|path| !path.is_empty());
    let last_words =
        (last_words.unwrap_or("/dev/termination-log").to_owned(), ingredients.termination_log.to_owned());
    mounts.extend(own.chain([&last_words]).map(|(path, source)| Mount {
        source: MountSource::Host(source.clone()),
        destination: PathBuf::from(path),
        read_only: false,
        propagation: Propagation::Private,
    }));
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(spec: &str) -> Result<ContainerConfig, ConfigError> {
        let text = format!(r#"{{"metadata":{{"name":"p","namespace":"n","uid":"u"}},"spec":{spec}}}"#);
        let pod: Pod = serde_json::from_str(&text).unwrap();
        let container = pod.spec.as_ref().unwrap().containers[0].clone();
        let identity = Identity {
            pod_uid: "u".into(),
            namespace: "n".into(),
            pod: "p".into(),
            container: container.name.clone(),
            attempt: 0,
            crashes: 0,
            image: container.image.clone(),
        };
        let ingredients = Ingredients {
            identity: &identity,
            id: "0",
            env: vec![("A".into(), "1".into())],
            image: &ImageConfig::default(),
            image_id: "sha256:1",
            namespaces: PodNamespaces { network: Some("/ns/net".into()), ..PodNamespaces::default() },
            volumes: &[("data".to_owned(), PathBuf::from("/v/data"))].into(),
            files: vec![("/etc/hosts".into(), "/p/hosts".into())],
            termination_log: Path::new("/p/last"),
            log: Path::new("/l/0.log"),
            cgroup: "/kubepods/podu",
            node_memory: 1 << 30,
        };
        container_config(&pod, &container, ingredients)
    }

    #[test]
    fn commands_are_expanded_and_mounts_resolved() {
        let config = build(
            r#"{"containers":[{"name":"c","image":"i","command":["$(A)"],"args":["$(B)"],
                "volumeMounts":[{"name":"data","mountPath":"/d","subPathExpr":"x-$(A)","readOnly":true}]}]}"#,
        )
        .unwrap();
        assert_eq!((config.command, config.args), (vec!["1".to_owned()], vec!["$(B)".to_owned()]));
        let shown: Vec<String> = config
            .mounts
            .iter()
            .map(|m| format!("{:?} {} {}", m.source, m.destination.display(), m.read_only))
            .collect();
        assert_eq!(
            shown,
            [
                "Host(\"/v/data/x-1\") /d true",
                "Host(\"/p/hosts\") /etc/hosts false",
                "Host(\"/p/last\") /dev/termination-log false",
            ]
        );
        assert_eq!(config.namespaces.network, Namespace::Path("/ns/net".into()));
        assert_eq!(config.namespaces.ipc, Namespace::Host);
        assert_eq!(config.namespaces.pid, Namespace::Private);
    }

    #[test]
    fn a_sub_path_cannot_leave_its_volume() {
        for path in ["../x", "/x", "a/../../b"] {
            let spec = format!(
                r#"{{"containers":[{{"name":"c","volumeMounts":[{{"name":"data","mountPath":"/d","subPath":"{path}"}}]}}]}}"#
            );
            assert_eq!(build(&spec).unwrap_err(), ConfigError::SubPath(path.into()));
        }
    }
}
