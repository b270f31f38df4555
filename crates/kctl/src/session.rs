//! The connection of a command: which cluster, which namespace, and a runtime to wait in.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use gantry_api::Kind;
use gantry_client::config::Kubeconfig;
use gantry_client::{Client, DynamicApi};

use crate::catalog::Catalog;
use crate::manifest::{Document, Files, Manifest};
use crate::names::Selection;

/// The flags that say which cluster and namespace a command is about.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// Kubeconfig to use. Default: $KUBECONFIG, then ./.cluster/kubeconfig, then ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// Namespace to work in. Default: that of the context
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Seconds that one request may take
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    pub request_timeout: u64,
}

/// A client with the namespace that the command works in.
#[derive(Debug, Clone)]
pub struct Session {
    /// The client.
    pub client: Client,
    /// The namespace where the command line names none other.
    pub namespace: String,
    /// Whether the command line names the namespace.
    pub namespace_given: bool,
}

impl Session {
    /// The objects of a kind: in the session's namespace, in all, or in the cluster where the kind lives there.
    #[must_use]
    pub fn api(&self, kind: &'static Kind, all_namespaces: bool) -> DynamicApi {
        let namespace = if kind.namespaced() && !all_namespaces { self.namespace.as_str() } else { "" };
        self.client.dynamic(kind, namespace)
    }

    /// What the words of a command line select; the server is asked only where a word means no kind of every server's.
    ///
    /// # Errors
    /// Where a word names no kind, or the two ways of naming are mixed.
    pub async fn selections(&self, words: &[String]) -> anyhow::Result<Vec<Selection>> {
        let builtin = Catalog::builtin();
        let catalog = if builtin.suffices(words) { builtin } else { Catalog::of(&self.client).await? };
        catalog.selections(words)
    }

    /// The objects that documents describe, of kinds that every server has or that this one has.
    ///
    /// # Errors
    /// Where a document describes no known object.
    pub async fn manifests(&self, files: &Files, documents: Vec<Document>) -> anyhow::Result<Vec<Manifest>> {
        let builtin = Catalog::builtin();
        let known = documents.iter().all(|document| document.kind_in(&builtin).is_some());
        let catalog = if known { builtin } else { Catalog::of(&self.client).await? };
        files.manifests(documents, &catalog)
    }
}

impl Target {
    /// Runs `command` with a session.
    ///
    /// # Errors
    /// Those of the command, and those of the kubeconfig.
    pub fn run<T, F, Fut>(&self, command: F) -> anyhow::Result<T>
    where
        F: FnOnce(Session) -> Fut,
        Fut: Future<Output = anyhow::Result<T>>,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let outcome = runtime.block_on(async { command(self.session()?).await });
        // A read from a terminal cannot be cancelled; nothing else is left to wait for.
        runtime.shutdown_timeout(Duration::from_millis(100));
        outcome
    }

    fn session(&self) -> anyhow::Result<Session> {
        let path = self.path()?;
        let kubeconfig = Kubeconfig::read(&path)?;
        let deadline = Duration::from_secs(self.request_timeout.max(1));
        let config = kubeconfig
            .config(self.context.as_deref())
            .with_context(|| format!("kubeconfig {}", path.display()))?
            .user_agent("kctl")
            .deadline(deadline)
            .patience(Duration::ZERO);
        let namespace = self.namespace.clone().unwrap_or_else(|| config.namespace.clone());
        Ok(Session { client: Client::new(config)?, namespace, namespace_given: self.namespace.is_some() })
    }

    fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return Ok(path.clone());
        }
        if let Some(paths) = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()) {
            // As kubectl: the first file that exists. Merging several is left to it.
            return match std::env::split_paths(&paths).find(|path| path.exists()) {
                Some(path) => Ok(path),
                None => bail!("$KUBECONFIG names no file that exists"),
            };
        }
        let local = PathBuf::from(".cluster/kubeconfig");
        let home = std::env::home_dir().map(|home| home.join(".kube/config"));
        [Some(local), home].into_iter().flatten().find(|path| path.exists()).context(
            "no kubeconfig found: give --kubeconfig, set $KUBECONFIG, or start a cluster here with `kctl up`",
        )
    }
}
