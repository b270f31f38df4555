//! Networks by CNI plugins, where the node has a configuration for them: the specification's version 1.0, and
//! the older ones that differ only in the form of results.

mod config;
mod exec;
mod result;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error as NetworkError, NodeRoute, PodAddresses, PodNetwork, PodRef};

use config::{NetworkList, Plugin};
use exec::{Command, Invocation};

const INTERFACE: &str = "eth0";

/// Why a network by CNI could not be set up or taken down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error("CNI configuration {}: {reason}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A plugin is not installed.
    #[error("CNI plugin {plugin:?} is in none of {}", dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", "))]
    NotInstalled {
        /// The plugin's name, its `type`.
        plugin: String,
        /// Where it was looked for.
        dirs: Vec<PathBuf>,
    },
    /// A plugin could not be run.
    #[error("cannot run CNI plugin {plugin:?}")]
    Run {
        /// The plugin's name.
        plugin: String,
        /// What the system answered.
        source: io::Error,
    },
    /// A plugin did not end in time and was killed.
    #[error("CNI plugin {plugin:?} did not finish {command} within {seconds} s")]
    Deadline {
        /// The plugin's name.
        plugin: String,
        /// What it was asked to do.
        command: &'static str,
        /// How long it had.
        seconds: u64,
    },
    /// A plugin failed, with its own message.
    #[error("CNI plugin {plugin:?} failed to {command}: {message}")]
    Failed {
        /// The plugin's name.
        plugin: String,
        /// What it was asked to do.
        command: &'static str,
        /// What it said.
        message: String,
    },
    /// A plugin answered what is no result.
    #[error("CNI plugin {plugin:?} gave no valid result: {reason}")]
    Answer {
        /// The plugin's name.
        plugin: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where CNI's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Configurations; the first by name is used.
    pub configuration: PathBuf,
    /// Plugins, in the order of looking for them.
    pub plugins: Vec<PathBuf>,
    /// Where the results of set-up pods are kept.
    pub state: PathBuf,
}

impl Dirs {
    /// The customary directories, and one for state.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self {
            configuration: "/etc/cni/net.d".into(),
            plugins: vec!["/opt/cni/bin".into(), "/usr/lib/cni".into()],
            state: state.into(),
        }
    }
}

/// A pod network provided by CNI plugins.
#[derive(Debug)]
pub struct CniNetwork {
    list: NetworkList,
    dirs: Dirs,
}

/// What is remembered of a pod: `DEL` needs it, also after a restart.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    uid: String,
    pod_namespace: String,
    pod_name: String,
    network_namespace: PathBuf,
    result: Value,
}

impl CniNetwork {
    /// The network that the node's configuration describes; `None` when there is no configuration.
    pub fn detect(dirs: Dirs) -> Result<Option<Self>, Error> {
        let Some(list) = config::first(&dirs.configuration)? else { return Ok(None) };
        fs::create_dir_all(&dirs.state).map_err(file("create", &dirs.state))?;
        Ok(Some(Self { list, dirs }))
    }

    /// The name of the network.
    pub fn name(&self) -> &str {
        &self.list.name
    }

    async fn add(&self, pod: &PodRef, namespace: &Path) -> Result<Value, Error> {
        let mut previous = None;
        for plugin in &self.list.plugins {
            previous = Some(self.run(Command::Add, plugin, pod, Some(namespace), previous.as_ref()).await?);
        }
        // The list has at least one plugin, which `config` checks.
        Ok(previous.unwrap_or(Value::Null))
    }

    /// Takes down in the reverse order. Every plugin gets its chance; the first failure is reported.
    async fn delete(
        &self,
        pod: &PodRef,
        namespace: Option<&Path>,
        result: Option<&Value>,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        for plugin in self.list.plugins.iter().rev() {
            let deleted = self.run(Command::Del, plugin, pod, namespace, result).await.map(drop);
            if let Err(error) = &deleted {
                tracing::warn!(error = error as &dyn std::error::Error, pod = %pod.uid, "CNI plugin failed");
            }
            outcome = outcome.and(deleted);
        }
        outcome
    }

    async fn run(
        &self,
        command: Command,
        plugin: &Plugin,
        pod: &PodRef,
        namespace: Option<&Path>,
        previous: Option<&Value>,
    ) -> Result<Value, Error> {
        Invocation { command, pod, namespace, interface: INTERFACE, dirs: &self.dirs.plugins }
            .run(&plugin.kind, &plugin.input(&self.list, previous))
            .await
    }

    fn record_path(&self, uid: &str) -> PathBuf {
        self.dirs.state.join(format!("{uid}.json"))
    }

    fn read(&self, uid: &str) -> Result<Option<Record>, Error> {
        let path = self.record_path(uid);
        match fs::read(&path) {
            // A record that cannot be read is as good as none: `DEL` works without, if less surely.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file("read", &path)(error)),
        }
    }

    fn write(&self, record: &Record) -> Result<(), Error> {
        let path = self.record_path(&record.uid);
        let temporary = path.with_extension("new");
        let bytes = serde_json::to_vec(record).map_err(|error| file("write", &path)(error.into()))?;
        fs::write(&temporary, bytes).map_err(file("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(file("write", &path))
    }

    fn forget(&self, uid: &str) -> Result<(), Error> {
        let path = self.record_path(uid);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    fn recorded(&self) -> Result<Vec<String>, Error> {
        let entries = fs::read_dir(&self.dirs.state).map_err(file("list", &self.dirs.state))?;
        let mut uids = Vec::new();
        for entry in entries {
            let name = entry.map_err(file("list", &self.dirs.state))?.file_name();
            uids.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
        }
        Ok(uids)
    }
}

#[async_trait]
impl PodNetwork for CniNetwork {
    async fn setup(&self, pod: &PodRef, namespace: &Path) -> Result<PodAddresses, NetworkError> {
        let mut record = Record {
            uid: pod.uid.clone(),
            pod_namespace: pod.namespace.clone(),
            pod_name: pod.name.clone(),
            network_namespace: namespace.to_owned(),
            result: Value::Null,
        };
        match self.read(&pod.uid)? {
            // `ADD` may be called once only, so the result is remembered.
            Some(known) if !known.result.is_null() && known.network_namespace == namespace => {
                return Ok(result::addresses(&known.result, "recorded")?);
            }
            Some(_) => self.delete(pod, Some(namespace), None).await?,
            // Remembered before anything is set up, so that a killed attempt is taken down.
            None => self.write(&record)?,
        }
        let added = match self.add(pod, namespace).await {
            Ok(result) => result,
            Err(error) => {
                // What the first plugins of the list made must not stay; failures are logged there.
                if self.delete(pod, Some(namespace), None).await.is_ok() {
                    self.forget(&pod.uid)?;
                }
                return Err(error.into());
            }
        };
        let addresses = result::addresses(&added, &self.list.name)?;
        record.result = added;
        self.write(&record)?;
        Ok(addresses)
    }

    async fn teardown(&self, pod: &PodRef, namespace: Option<&Path>) -> Result<(), NetworkError> {
        let Some(record) = self.read(&pod.uid)? else { return Ok(()) };
        let namespace = namespace.filter(|namespace| namespace.exists());
        let result = Some(&record.result).filter(|result| !result.is_null());
        self.delete(pod, namespace, result).await?;
        Ok(self.forget(&pod.uid)?)
    }

    async fn addresses(&self, pod: &PodRef) -> Option<PodAddresses> {
        let record = self.read(&pod.uid).ok()??;
        result::addresses(&record.result, "recorded").ok()
    }

    async fn retain(&self, live: &BTreeSet<String>) -> Result<(), NetworkError> {
        for uid in self.recorded()?.into_iter().filter(|uid| !live.contains(uid)) {
            let Some(record) = self.read(&uid)? else {
                self.forget(&uid)?;
                continue;
            };
            let pod = PodRef::new(record.uid, record.pod_namespace, record.pod_name);
            self.teardown(&pod, Some(&record.network_namespace)).await?;
        }
        Ok(())
    }

    /// The plugins see to routes themselves.
    async fn sync_routes(&self, _routes: &[NodeRoute]) -> Result<(), NetworkError> {
        Ok(())
    }
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}
