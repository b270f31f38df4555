//! Garbage collection: what nobody owns any more goes.
//!
//! A graph of owners and dependents is fed by informers of every kind. An owner that the graph does not have may be
//! one that it does not have yet, so nothing is deleted before the API server was asked for the owner itself.

use std::sync::Arc;

use futures::future::join_all;
use gantry_api::apiextensions::v1::CustomResourceDefinition;
use gantry_api::convert::stored_kind;
use gantry_api::core::v1::Event as CoreEvent;
use gantry_api::meta::v1::{DeleteOptions, ObjectMeta, OwnerReference, Preconditions};
use gantry_api::{Kind, Resource, registry};
use gantry_client::{Event, Informer, Metadata, ObjectKey, PatchType, Stored, WorkQueue, controller};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::pod::Pod;
use crate::{Context, Error};

mod custom;
mod decide;
mod graph;

use decide::{Decision, Owner, decide};
use graph::{Graph, Node};

/// Makes a deletion wait for the dependents that block it.
const FOREGROUND: &str = "foregroundDeletion";
/// Makes a deletion leave the dependents alone.
const ORPHAN: &str = "orphan";
/// Kinds that own nothing and that nothing owns.
const IGNORED: [&str; 2] = ["events", "endpoints"];

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("garbage_collector");
    let graph = Arc::new(Mutex::new(Graph::default()));
    let feed = Feed {
        graph: graph.clone(),
        queue: queue.clone(),
        released: context.released.clone(),
        stop: context.stop.clone(),
    };
    let custom = custom::Custom::default();
    feed.attach(&context.pods, Pod::kind());
    feed.attach(&context.deployments, registry_kind(&context.deployments));
    feed.attach(&context.replica_sets, registry_kind(&context.replica_sets));
    feed.attach(&context.services, registry_kind(&context.services));
    feed.attach(&context.endpoint_slices, registry_kind(&context.endpoint_slices));
    feed.attach(&context.nodes, registry_kind(&context.nodes));
    let shared = ["pods", "deployments", "replicasets", "services", "endpointslices", "nodes"];
    let others: Vec<_> = registry::all()
        .iter()
        .filter(|kind| !shared.contains(&kind.plural) && !IGNORED.contains(&kind.plural))
        // Each object once, whatever versions it is served in.
        .filter(|kind| stored_kind(kind) == **kind)
        .map(|kind| {
            let informer =
                Informer::metadata(&context.client, kind).transform(lean).spawn(context.stop.clone());
            feed.attach(&informer, kind);
            if *kind == CustomResourceDefinition::kind() {
                custom.wake_on(&informer);
            }
            informer
        })
        .collect();
    debug_assert!(IGNORED.contains(&CoreEvent::kind().plural), "events are not watched");

    let synced = join_all(others.iter().map(Informer::synced)).await.into_iter().all(|synced| synced)
        && context.pods.synced().await
        && context.deployments.synced().await
        && context.replica_sets.synced().await
        && context.services.synced().await
        && context.endpoint_slices.synced().await
        && context.nodes.synced().await;
    if !synced {
        return;
    }
    let shutdown = queue.clone();
    let collector = Collector { context, graph: &graph, queue: &queue, custom: &custom };
    tokio::join!(
        custom.follow(context, &feed),
        controller::run(queue.clone(), context.options.concurrent_gc_syncs, |uid| collector.sync(uid)),
        async {
            context.stop.cancelled().await;
            shutdown.shutdown();
        }
    );
}

fn registry_kind<T: Resource>(_informer: &Informer<T>) -> &'static Kind {
    T::kind()
}

/// The graph needs neither labels nor annotations.
fn lean(metadata: &mut Metadata) {
    if let Some(meta) = metadata.metadata_mut() {
        meta.labels.clear();
        meta.annotations.clear();
        meta.managed_fields.clear();
    }
}

/// Brings what informers see into the graph, and what follows from it into the queue.
#[derive(Clone)]
struct Feed {
    graph: Arc<Mutex<Graph>>,
    queue: WorkQueue<String>,
    /// Where quotas learn that something is gone.
    released: WorkQueue<String>,
    /// When it ends, nothing more is taken in.
    stop: CancellationToken,
}

impl Feed {
    fn attach<T: Stored>(&self, informer: &Informer<T>, kind: &'static Kind) {
        let feed = self.clone();
        informer.on_event(move |event| {
            let affected = {
                let mut graph = feed.graph.lock();
                // Looked at under the lock: what is forgotten does not come back.
                if feed.stop.is_cancelled() {
                    return;
                }
                match event {
                    Event::Added(object) | Event::Modified { new: object, .. } => {
                        graph.upsert(kind, object.metadata())
                    }
                    Event::Deleted(object) => {
                        let meta = object.metadata();
                        if kind.namespaced() {
                            feed.released.add(meta.namespace.clone());
                        }
                        graph.remove(&meta.uid)
                    }
                    Event::Resync => Vec::new(),
                }
            };
            for uid in affected {
                feed.queue.add(uid);
            }
        });
    }

    /// Ends what is taken in of a kind, and forgets its objects: nobody tells any more what becomes of them.
    fn forget(&self, kind: &'static Kind, stop: &CancellationToken) {
        stop.cancel();
        let affected = self.graph.lock().forget(kind);
        for uid in affected {
            self.queue.add(uid);
        }
    }
}

struct Collector<'a> {
    context: &'a Context,
    graph: &'a Mutex<Graph>,
    queue: &'a WorkQueue<String>,
    custom: &'a custom::Custom,
}

impl Collector<'_> {
    async fn sync(&self, uid: String) -> Result<(), Error> {
        let Some(node) = self.graph.lock().node(&uid) else { return Ok(()) };
        if node.deleting && node.orphan {
            return self.orphan(&node).await;
        }
        if node.deleting && node.foreground {
            return self.finish_foreground(&node).await;
        }
        if node.deleting || node.owners.is_empty() {
            return Ok(());
        }
        let mut owners = Vec::with_capacity(node.owners.len());
        for reference in &node.owners {
            owners.push((reference.clone(), self.look_up(&node, reference).await?));
        }
        let has_dependents = !self.graph.lock().dependents(&uid).is_empty();
        match decide(&node, &owners, has_dependents) {
            Decision::Keep => Ok(()),
            Decision::Drop(gone) => self.drop_owners(&node, &gone).await,
            Decision::Delete(policy) => self.delete(&node, policy).await,
        }
    }

    /// What an owner is now: the graph says what is there, the API server what is not.
    async fn look_up(&self, node: &Node, reference: &OwnerReference) -> Result<Owner, Error> {
        if let Some(owner) = self.graph.lock().node(&reference.uid) {
            return Ok(if owner.deleting && owner.foreground { Owner::Leaving } else { Owner::Present });
        }
        let (group, version) = reference.api_version.split_once('/').unwrap_or(("", &reference.api_version));
        let known = match registry::by_kind(group, version, &reference.kind) {
            Some(kind) => Some(kind),
            None => self.custom.find(self.context, group, version, &reference.kind).await?,
        };
        let Some(kind) = known else {
            // Nobody can tell, so nothing is deleted.
            debug!(kind = reference.kind, version = reference.api_version, "the kind of an owner is unknown");
            return Ok(Owner::Present);
        };
        let namespace = if kind.namespaced() { node.key.namespace.as_str() } else { "" };
        if kind.namespaced() && namespace.is_empty() {
            debug!(object = %node.key, "a cluster-scoped object names a namespaced owner");
            return Ok(Owner::Present);
        }
        match self.context.client.dynamic(kind, namespace).get(&reference.name).await {
            Ok(live) if live.meta().uid == reference.uid => Ok(Owner::Present),
            Ok(_) => Ok(Owner::Absent),
            Err(error) if error.is_not_found() => {
                // That a version is not served any more says nothing of its objects.
                let served = !kind.is_custom() || self.custom.is_served(self.context, kind).await?;
                Ok(if served { Owner::Absent } else { Owner::Present })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, node: &Node, policy: &str) -> Result<(), Error> {
        info!(kind = node.kind.kind, object = %node.key, policy, "deleting what nobody owns any more");
        let options = DeleteOptions {
            preconditions: Some(Preconditions { uid: Some(node.uid.clone()), resource_version: None }),
            propagation_policy: Some(policy.to_owned()),
            ..DeleteOptions::default()
        };
        let api = self.context.client.dynamic(node.kind, &node.key.namespace);
        match api.delete(&node.key.name, &options).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes references to owners that are gone, of an object that another owner keeps.
    async fn drop_owners(&self, node: &Node, gone: &[String]) -> Result<(), Error> {
        self.change(node, |meta| {
            let mut owners = meta.owner_references.clone();
            owners.retain(|reference| !gone.contains(&reference.uid));
            (owners != meta.owner_references).then(|| json!({ "ownerReferences": owners }))
        })
        .await
    }

    /// Lets the dependents of an object go free, then the object itself.
    async fn orphan(&self, node: &Node) -> Result<(), Error> {
        let dependents = self.graph.lock().dependents(&node.uid);
        let gone = [node.uid.clone()];
        for outcome in join_all(dependents.iter().map(|dependent| self.drop_owners(dependent, &gone))).await {
            outcome?;
        }
        self.remove_finalizer(node, ORPHAN).await
    }

    /// Ends a deletion once no dependent blocks it; until then, sees to it that they are deleted.
    async fn finish_foreground(&self, node: &Node) -> Result<(), Error> {
        let dependents = self.graph.lock().dependents(&node.uid);
        let mut blocked = false;
        for dependent in dependents {
            let blocks = dependent
                .owners
                .iter()
                .any(|owner| owner.uid == node.uid && owner.block_owner_deletion == Some(true));
            blocked |= blocks;
            if !dependent.deleting {
                self.queue.add(dependent.uid);
            }
        }
        if blocked { Ok(()) } else { self.remove_finalizer(node, FOREGROUND).await }
    }

    async fn remove_finalizer(&self, node: &Node, finalizer: &str) -> Result<(), Error> {
        self.change(node, |meta| {
            let mut finalizers = meta.finalizers.clone();
            finalizers.retain(|present| present != finalizer);
            (finalizers != meta.finalizers).then(|| json!({ "finalizers": finalizers }))
        })
        .await
    }

    /// Changes an object's metadata, guarded by the revision that was read.
    async fn change(
        &self,
        node: &Node,
        change: impl Fn(&ObjectMeta) -> Option<serde_json::Value>,
    ) -> Result<(), Error> {
        let api = self.context.client.dynamic(node.kind, &node.key.namespace);
        let live = match api.get(&node.key.name).await {
            Ok(live) if live.meta().uid == node.uid => live,
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let Some(mut metadata) = change(live.meta()) else { return Ok(()) };
        metadata["uid"] = json!(live.meta().uid);
        metadata["resourceVersion"] = json!(live.meta().resource_version);
        let patch = json!({ "metadata": metadata });
        match api.patch(&node.key.name, "", PatchType::Merge, &patch, &Default::default()).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The key of an object, for logs.
fn key(meta: &ObjectMeta) -> ObjectKey {
    ObjectKey::of_meta(meta)
}
