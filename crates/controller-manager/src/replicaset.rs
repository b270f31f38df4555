//! ReplicaSets: as many pods as asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gantry_api::Resource;
use gantry_api::apps::v1::ReplicaSet;
use gantry_api::core;
use gantry_api::meta::v1::{DeleteOptions, Preconditions};
use gantry_api::selector::LabelSelector;
use gantry_client::recorder::{NORMAL, WARNING};
use gantry_client::{Event, ObjectKey, PodExt, Recorder, WorkQueue, controller, controller_of};
use jiff::Timestamp;
use tracing::debug;

use crate::pod::Pod;
use crate::{Context, Error, owned};

mod decide;
mod rank;
mod status;
mod template;

pub(crate) use template::suffix;

pub use decide::{Action, Snapshot, reconcile};
pub use status::{Failure, status};

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("replicaset");
    watch(context, &queue);
    if !(context.replica_sets.synced().await && context.pods.synced().await) {
        return;
    }
    let stop = context.stop.clone().cancelled_owned();
    let shutdown = queue.clone();
    let controller = Controller { context, recorder: context.recorder("replicaset-controller") };
    tokio::join!(
        controller::run(queue, context.options.concurrent_replicaset_syncs, |key| controller.sync(key)),
        async {
            stop.await;
            shutdown.shutdown();
        }
    );
}

fn watch(context: &Context, queue: &WorkQueue<ObjectKey>) {
    let sets = queue.clone();
    context.replica_sets.on_event(move |event| {
        if let Some(set) = event.object() {
            sets.add(ObjectKey::of(&**set));
        }
    });
    let (store, pods) = (context.replica_sets.store(), queue.clone());
    context.pods.on_event(move |event| {
        let old = match event {
            Event::Modified { old, .. } => Some(old),
            _ => None,
        };
        for pod in event.object().into_iter().chain(old) {
            match controller_of(pod.meta()) {
                Some(owner) if owner.kind == ReplicaSet::kind().kind => {
                    pods.add(ObjectKey::new(pod.namespace(), &owner.name));
                }
                Some(_) => {}
                // An orphan: whoever matches it may adopt it.
                None => {
                    for set in store.list_namespace(pod.namespace()) {
                        let selector = set.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                        if LabelSelector::from_meta(selector).is_ok_and(|s| s.matches(&pod.meta().labels)) {
                            pods.add(ObjectKey::of(&*set));
                        }
                    }
                }
            }
        }
    });
}

struct Controller<'a> {
    context: &'a Context,
    recorder: Recorder,
}

impl Controller<'_> {
    async fn sync(&self, key: ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(set) = self.context.replica_sets.store().get_key(&key) else { return Ok(None) };
        let selector = LabelSelector::from_meta(set.spec.as_ref().and_then(|spec| spec.selector.as_ref()))?;
        if selector.is_everything() {
            // Validation refuses this; matching every pod of the namespace would be worse than doing nothing.
            return Ok(None);
        }
        let claim = owned::claim(&self.context.pods.store(), set.meta(), &selector);
        let pods = owned::settle(&self.context.client, &self.context.pods, &*set, claim).await?;
        let mut snapshot = Snapshot { neighbours: self.neighbours(&set), set, pods, now: Timestamp::now() };

        let mut failure = None;
        for action in reconcile(&snapshot) {
            let outcome = match action {
                Action::Create(count) => self.create(&snapshot.set, count).await.map_err(Failure::Create),
                Action::Delete(pods) => self.delete(&snapshot.set, &pods).await.map_err(Failure::Delete),
            };
            if let Err(error) = outcome {
                failure = Some(error);
            }
        }

        // Pods that were made or deleted count at once.
        let store = self.context.pods.store();
        snapshot.pods = store
            .by_index(owned::BY_CONTROLLER, &snapshot.set.meta().uid)
            .into_iter()
            .filter(|pod| selector.matches(&pod.meta().labels))
            .collect();
        self.write_status(&snapshot, failure.as_ref()).await?;
        match failure {
            Some(Failure::Create(error) | Failure::Delete(error)) => Err(error),
            None => Ok(decide::again(&snapshot)),
        }
    }

    /// How many pods of the same owner's ReplicaSets each node has.
    fn neighbours(&self, set: &ReplicaSet) -> HashMap<String, usize> {
        let owner = controller_of(set.meta()).map(|owner| owner.uid.as_str());
        let sets = match owner {
            Some(owner) => self.context.replica_sets.store().by_index(owned::BY_CONTROLLER, owner),
            None => Vec::new(),
        };
        let own = set.meta().uid.as_str();
        let uids = sets.iter().map(|set| set.meta().uid.as_str()).filter(|uid| *uid != own).chain([own]);
        let mut nodes = HashMap::new();
        for pod in uids.flat_map(|uid| self.context.pods.store().by_index(owned::BY_CONTROLLER, uid)) {
            if pod.is_active() && !pod.node_name().is_empty() {
                *nodes.entry(pod.node_name().to_owned()).or_default() += 1;
            }
        }
        nodes
    }

    /// Creates pods in growing batches: where creation is refused, one refusal is enough to know.
    async fn create(&self, set: &Arc<ReplicaSet>, count: usize) -> Result<(), Error> {
        let mut left = count;
        let mut batch = 1;
        while left > 0 {
            let size = batch.min(left);
            let outcomes = join_all((0..size).map(|_| self.create_one(set))).await;
            let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
            if let Some(source) = outcomes.into_iter().find_map(Result::err) {
                if source.is_namespace_terminating() {
                    debug!(set = %ObjectKey::of(&**set), "the namespace is being deleted");
                    return Ok(());
                }
                return Err(Error::Writes { failed, total: size, source });
            }
            left -= size;
            batch *= 2;
        }
        Ok(())
    }

    async fn create_one(&self, set: &Arc<ReplicaSet>) -> Result<(), gantry_client::Error> {
        let pod = template::pod(set, &suffix(rand::random()));
        match self.context.writer.create(&pod).await {
            Ok(pod) => {
                let message = format!("Created pod: {}", pod.name());
                self.context.pods.note(pod.into());
                self.recorder.event_for(&**set, NORMAL, "SuccessfulCreate", message);
                Ok(())
            }
            Err(error) => {
                if !error.is_namespace_terminating() {
                    let message = format!("Error creating: {error}");
                    self.recorder.event_for(&**set, WARNING, "FailedCreate", message);
                }
                Err(error)
            }
        }
    }

    async fn delete(&self, set: &Arc<ReplicaSet>, pods: &[Arc<Pod>]) -> Result<(), Error> {
        let outcomes = join_all(pods.iter().map(|pod| self.delete_one(set, pod))).await;
        let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        match outcomes.into_iter().find_map(Result::err) {
            Some(source) => Err(Error::Writes { failed, total: pods.len(), source }),
            None => Ok(()),
        }
    }

    async fn delete_one(&self, set: &Arc<ReplicaSet>, pod: &Pod) -> Result<(), gantry_client::Error> {
        let preconditions = Preconditions { uid: Some(pod.meta().uid.clone()), resource_version: None };
        let options = DeleteOptions { preconditions: Some(preconditions), ..DeleteOptions::default() };
        match self.context.writer.delete::<core::v1::Pod>(pod.namespace(), pod.name(), &options).await {
            Ok(last) => {
                if last.is_terminating() {
                    self.context.pods.note(last.into());
                } else {
                    self.context.pods.note_deleted(pod);
                }
                let message = format!("Deleted pod: {}", pod.name());
                self.recorder.event_for(&**set, NORMAL, "SuccessfulDelete", message);
                Ok(())
            }
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => {
                let message = format!("Error deleting: {error}");
                self.recorder.event_for(&**set, WARNING, "FailedDelete", message);
                Err(error)
            }
        }
    }

    async fn write_status(&self, snapshot: &Snapshot, failure: Option<&Failure>) -> Result<(), Error> {
        let status = status(snapshot, failure);
        if snapshot.set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut set = (*snapshot.set).clone();
        set.status = Some(status);
        match self.context.client.api::<ReplicaSet>(set.namespace()).update_status(&set).await {
            Ok(written) => self.context.replica_sets.note(written),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
