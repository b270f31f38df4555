//! Keeps the node's object in the API as it ought to be.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_api::Resource;
use gantry_api::core::v1::{Node, NodeCondition, NodeStatus};
use gantry_client::{Client, Error, Event, Informer, PatchType};
use gantry_container_runtime::Runtime;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::machine::load;
use super::object::{NodeIdentity, NodeState, labels, node, same, status};

/// An unchanged status is sent again after this time.
const REPORT: Duration = Duration::from_secs(300);
/// The first retry of a write that failed; each further one doubles it.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What the rest of the kubelet says about itself.
#[derive(Debug, Clone)]
pub struct Health {
    /// Why there is no pod network, if there is none.
    pub network: watch::Receiver<Option<String>>,
}

/// Registers the node and reports its status.
pub struct Agent {
    /// The API.
    pub client: Client,
    /// The node.
    pub identity: NodeIdentity,
    /// All nodes, of which one is this.
    pub nodes: Informer<Node>,
    /// Asked for its version and images.
    pub runtime: Arc<dyn Runtime>,
    /// What else has to be well.
    pub health: Health,
    /// Where pods lie.
    pub root: PathBuf,
    /// How often the status is looked at.
    pub frequency: Duration,
}

/// The last status that the API took.
#[derive(Default)]
struct Reported {
    status: NodeStatus,
    at: Option<Instant>,
}

impl Agent {
    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut events = self.nodes.subscribe();
        let mut reported = Reported::default();
        let mut failures = 0u32;
        loop {
            let result = self.report(&mut reported).await;
            let delay = match result {
                Ok(()) => {
                    failures = 0;
                    self.frequency
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(%error, failures, "node status not written; trying again");
                    (RETRY * (1 << failures.min(6))).min(RETRY_MAX)
                }
            };
            let own = &self.identity.name;
            let sleep = tokio::time::sleep(delay);
            tokio::pin!(sleep);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = &mut sleep => break,
                    changed = self.health.network.changed() => match changed {
                        Ok(()) => break,
                        // The network's task has ended with the kubelet.
                        Err(_) => return,
                    },
                    // Someone removed the node: it registers again.
                    event = events.next() => match event {
                        Some(Event::Deleted(node)) if node.name() == own => {
                            reported = Reported::default();
                            break;
                        }
                        Some(_) => {}
                        None => return,
                    },
                }
            }
        }
    }

    /// Brings the object up to date, if it is not.
    async fn report(&mut self, reported: &mut Reported) -> Result<(), Error> {
        let state = self.state().await;
        let now = Timestamp::now();
        if reported.at.is_none() {
            let conditions = self.register(&state, now).await?;
            reported.status.conditions = conditions;
        }
        let new = status(&self.identity, &state, now, &reported.status.conditions);
        if reported.at.is_some_and(|at| at.elapsed() < REPORT) && same(&new, &reported.status) {
            return Ok(());
        }
        let patch = json!({ "status": status_value(&new) });
        let nodes = self.client.api::<Node>("");
        match nodes.patch_status(&self.identity.name, PatchType::StrategicMerge, &patch).await {
            Ok(_) => {
                *reported = Reported { status: new, at: Some(Instant::now()) };
                Ok(())
            }
            Err(error) => {
                if error.is_not_found() {
                    *reported = Reported::default();
                }
                Err(error)
            }
        }
    }

    /// Creates the object, or gives the one that is there the labels that it must have. Answers with its conditions.
    async fn register(&self, state: &NodeState, now: Timestamp) -> Result<Vec<NodeCondition>, Error> {
        let nodes = self.client.api::<Node>("");
        let new = node(&self.identity, state, now);
        match nodes.create(&new).await {
            Ok(node) => {
                tracing::info!(node = self.identity.name, "node registered");
                Ok(node.status.unwrap_or_default().conditions)
            }
            Err(error) if error.is_already_exists() => {
                let patch = json!({ "metadata": { "labels": labels(&self.identity) } });
                let node = nodes.patch(&self.identity.name, PatchType::StrategicMerge, &patch).await?;
                Ok(node.status.unwrap_or_default().conditions)
            }
            Err(error) => Err(error),
        }
    }

    async fn state(&mut self) -> NodeState {
        let mut not_ready = Vec::new();
        match self.runtime.version().await {
            Ok(version) => {
                let text = format!("{}://{}", version.name, version.version);
                self.identity.machine.info.container_runtime_version = text;
            }
            Err(error) => not_ready.push(format!("container runtime is down: {error}")),
        }
        not_ready.extend(self.health.network.borrow_and_update().clone());
        let images = match self.runtime.list_images().await {
            Ok(images) => {
                images.into_iter().map(|i| ([i.repo_tags, i.repo_digests].concat(), i.size_bytes)).collect()
            }
            // What is wrong with the runtime is said above.
            Err(_) => Vec::new(),
        };
        let load = load(&self.root).unwrap_or_else(|error| {
            tracing::warn!(%error, "the machine's load cannot be read");
            super::machine::Load {
                memory_available: u64::MAX,
                storage_free_percent: 100,
                inodes_free_percent: 100,
                processes: 0,
                processes_max: 0,
            }
        });
        NodeState { load, not_ready, images }
    }
}

fn status_value(status: &NodeStatus) -> serde_json::Value {
    // Types of the API are always JSON: a failure here would be a bug of theirs, shown by an empty status.
    serde_json::to_value(status).unwrap_or_default()
}
