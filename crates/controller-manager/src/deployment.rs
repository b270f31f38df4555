//! Deployments: ReplicaSets that replace each other without an interruption.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use gantry_api::meta::v1::{DeleteOptions, Preconditions};
use gantry_api::selector::LabelSelector;
use gantry_client::recorder::{NORMAL, WARNING};
use gantry_client::{ObjectKey, PatchType, Recorder, WorkQueue, controller, controller_of, is_controlled_by};
use jiff::Timestamp;
use serde_json::json;
use tracing::debug;

use crate::{Context, Error, owned};

mod annotations;
mod conditions;
mod decide;
#[cfg(test)]
mod golden;
mod rolling;
mod scale;
mod status;
mod template;

pub use decide::{Action, Snapshot, reconcile};

use annotations::REVISION;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("deployment");
    watch(context, &queue);
    let synced = context.deployments.synced().await
        && context.replica_sets.synced().await
        && context.pods.synced().await;
    if !synced {
        return;
    }
    let shutdown = queue.clone();
    let controller = Controller { context, recorder: context.recorder("deployment-controller") };
    tokio::join!(
        controller::run(queue, context.options.concurrent_deployment_syncs, |key| controller.sync(key)),
        async {
            context.stop.cancelled().await;
            shutdown.shutdown();
        }
    );
}

fn watch(context: &Context, queue: &WorkQueue<ObjectKey>) {
    let deployments = queue.clone();
    context.deployments.on_event(move |event| {
        if let Some(deployment) = event.object() {
            deployments.add(ObjectKey::of(&**deployment));
        }
    });
    let (store, sets) = (context.deployments.store(), queue.clone());
    context.replica_sets.on_event(move |event| {
        let Some(set) = event.object() else { return };
        match controller_of(set.meta()) {
            Some(owner) if owner.kind == Deployment::kind().kind => {
                sets.add(ObjectKey::new(set.namespace(), &owner.name));
            }
            Some(_) => {}
            None => {
                for deployment in store.list_namespace(set.namespace()) {
                    let selector = deployment.spec.as_ref().and_then(|spec| spec.selector.as_ref());
                    if LabelSelector::from_meta(selector).is_ok_and(|s| s.matches(&set.meta().labels)) {
                        sets.add(ObjectKey::of(&*deployment));
                    }
                }
            }
        }
    });
    // Recreate waits for the last old pod to be gone, which no ReplicaSet's status tells.
    let (sets, deployments, pods) =
        (context.replica_sets.store(), context.deployments.store(), queue.clone());
    context.pods.on_event(move |event| {
        let gantry_client::Event::Deleted(pod) = event else { return };
        let Some(owner) = controller_of(pod.meta()) else { return };
        let Some(set) = sets.get(pod.namespace(), &owner.name) else { return };
        let Some(owner) = controller_of(set.meta()) else { return };
        let recreates = deployments
            .get(set.namespace(), &owner.name)
            .is_some_and(|deployment| decide::recreates(&deployment));
        if recreates {
            pods.add(ObjectKey::new(set.namespace(), &owner.name));
        }
    });
}

struct Controller<'a> {
    context: &'a Context,
    recorder: Recorder,
}

impl Controller<'_> {
    async fn sync(&self, key: ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(deployment) = self.context.deployments.store().get_key(&key) else { return Ok(None) };
        let selector =
            LabelSelector::from_meta(deployment.spec.as_ref().and_then(|spec| spec.selector.as_ref()))?;
        if selector.is_everything() {
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.recorder.event_for(&*deployment, WARNING, "SelectingAll", message);
            return Ok(None);
        }
        let claim = owned::claim(&self.context.replica_sets.store(), deployment.meta(), &selector);
        let sets =
            owned::settle(&self.context.client, &self.context.replica_sets, &*deployment, claim).await?;
        let snapshot = Snapshot { pods: self.pods(&sets), deployment, sets, now: Timestamp::now() };
        let mut present = (*snapshot.deployment).clone();
        let mut again = None;
        for action in reconcile(&snapshot) {
            match action {
                Action::Create(set) => self.create(&mut present, *set).await?,
                Action::Update { set, event } => self.update(&present, *set, event).await?,
                Action::Delete(set) => self.delete(&set).await?,
                Action::Revision(revision) => self.write_revision(&mut present, &revision).await?,
                Action::Status(status) => self.write_status(&mut present, *status).await?,
                Action::Again(delay) => again = Some(delay),
            }
        }
        Ok(again)
    }

    /// The pods of each ReplicaSet that have not ended.
    fn pods(&self, sets: &[Arc<ReplicaSet>]) -> Vec<Arc<crate::pod::Pod>> {
        let store = self.context.pods.store();
        sets.iter().flat_map(|set| store.by_index(owned::BY_CONTROLLER, &set.meta().uid)).collect()
    }

    async fn create(&self, present: &mut Deployment, set: ReplicaSet) -> Result<(), Error> {
        let (name, size) = (set.name().to_owned(), decide::size(&set));
        match self.context.client.api::<ReplicaSet>(set.namespace()).create(&set).await {
            Ok(created) => {
                self.context.replica_sets.note(created);
                if size > 0 {
                    let message = format!("Scaled up replica set {name} from 0 to {size}");
                    self.recorder.event_for(present, NORMAL, "ScalingReplicaSet", message);
                }
                Ok(())
            }
            Err(error) if error.is_already_exists() => self.resolve_collision(present, &set).await,
            Err(error) if error.is_namespace_terminating() => Ok(()),
            Err(error) => {
                let message = format!("Failed to create new replica set {name:?}: {error}");
                self.recorder.event_for(present, WARNING, "ReplicaSetCreateError", &message);
                let status = conditions::creation_failed(present, &message, Timestamp::now());
                self.write_status(present, status).await?;
                Err(error.into())
            }
        }
    }

    /// A ReplicaSet of the name exists. Where it is ours, the store was behind; where it is not, the template's hash
    /// collides with that of another one, and the next try hashes another number with it.
    async fn resolve_collision(&self, present: &mut Deployment, set: &ReplicaSet) -> Result<(), Error> {
        let sets = self.context.client.api::<ReplicaSet>(set.namespace());
        let Some(live) = sets.get_opt(set.name()).await? else { return Ok(()) };
        let ours = is_controlled_by(live.meta(), &present.meta().uid) && template::same(&live, present);
        if ours {
            self.context.replica_sets.note(live);
            return Ok(());
        }
        debug!(set = %ObjectKey::of(set), "hash collision");
        let mut status = present.status.clone().unwrap_or_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
        self.write_status(present, status).await
    }

    async fn update(
        &self,
        present: &Deployment,
        set: ReplicaSet,
        event: Option<String>,
    ) -> Result<(), Error> {
        let written = self.context.client.api::<ReplicaSet>(set.namespace()).update(&set).await?;
        self.context.replica_sets.note(written);
        if let Some(message) = event {
            self.recorder.event_for(present, NORMAL, "ScalingReplicaSet", message);
        }
        Ok(())
    }

    async fn delete(&self, set: &ReplicaSet) -> Result<(), Error> {
        let preconditions = Preconditions {
            uid: Some(set.meta().uid.clone()),
            resource_version: Some(set.meta().resource_version.clone()),
        };
        let options = DeleteOptions { preconditions: Some(preconditions), ..DeleteOptions::default() };
        match self.context.client.api::<ReplicaSet>(set.namespace()).delete(set.name(), &options).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn write_revision(&self, present: &mut Deployment, revision: &str) -> Result<(), Error> {
        let patch = json!({ "metadata": { "annotations": { REVISION: revision } } });
        let deployments = self.context.client.api::<Deployment>(present.namespace());
        *present = deployments.patch(present.name(), PatchType::Merge, &patch).await?;
        self.context.deployments.note(present.clone());
        Ok(())
    }

    async fn write_status(&self, present: &mut Deployment, status: DeploymentStatus) -> Result<(), Error> {
        present.status = Some(status);
        match self.context.client.api::<Deployment>(present.namespace()).update_status(present).await {
            Ok(written) => {
                *present = written.clone();
                self.context.deployments.note(written);
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
