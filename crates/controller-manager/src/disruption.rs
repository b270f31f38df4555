//! Disruption budgets: how many of their pods may be taken away now.

use std::collections::BTreeMap;
use std::time::Duration;

use gantry_api::core::v1::ObjectReference;
use gantry_api::policy::v1::PodDisruptionBudget;
use gantry_api::scalars::Time;
use gantry_api::selector::LabelSelector;
use gantry_api::{Resource, disruption};
use gantry_client::recorder::{NORMAL, WARNING};
use gantry_client::{Event, ObjectKey, Recorder, Store, WorkQueue, controller, controller_of};
use jiff::Timestamp;
use tracing::warn;

use crate::pod::Pod;
use crate::{Context, Error};

mod decide;
mod owner;
mod stale;

pub use decide::{Outcome, Snapshot, reconcile};
pub use owner::Owner;

/// Runs the controller until the context's end.
pub async fn run(context: &Context) {
    let queue = WorkQueue::new("disruption");
    let recorder = context.recorder("controllermanager");
    watch(context, &queue, &recorder);
    let synced = context.pods.synced().await
        && context.budgets.synced().await
        && context.replica_sets.synced().await
        && context.deployments.synced().await;
    if !synced {
        return;
    }
    let (stop, shutdown) = (context.stop.clone().cancelled_owned(), queue.clone());
    let controller = Controller { context, recorder };
    tokio::join!(controller::run(queue, 1, |key| controller.sync(key)), stale::run(context), async {
        stop.await;
        shutdown.shutdown();
    });
}

fn watch(context: &Context, queue: &WorkQueue<ObjectKey>, recorder: &Recorder) {
    let own = queue.clone();
    context.budgets.on_event(move |event| {
        if let Some(budget) = event.object() {
            own.add(ObjectKey::of(&**budget));
        }
    });
    let (store, queue, recorder) = (context.budgets.store(), queue.clone(), recorder.clone());
    context.pods.on_event(move |event| {
        let old = match event {
            Event::Modified { old, new } if old.meta().labels != new.meta().labels => Some(old),
            _ => None,
        };
        if let Some(pod) = event.object() {
            let budgets = matching(&store, pod);
            if let [first, _, ..] = budgets.as_slice() {
                let (namespace, name) = (pod.namespace(), pod.name());
                let text = format!(
                    "Pod {namespace:?}/{name:?} matches multiple PodDisruptionBudgets.  Chose {:?} arbitrarily.",
                    first.name
                );
                recorder.event(&reference(pod), WARNING, "MultiplePodDisruptionBudgets", text);
            }
            // All of them, so that none tells an old number.
            budgets.into_iter().for_each(|budget| queue.add(budget));
        }
        for budget in old.iter().flat_map(|pod| matching(&store, pod)) {
            queue.add(budget);
        }
    });
}

/// The budgets that count a pod.
fn matching(budgets: &Store<PodDisruptionBudget>, pod: &Pod) -> Vec<ObjectKey> {
    let counts = |budget: &PodDisruptionBudget| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        LabelSelector::from_meta(selector).is_ok_and(|selector| selector.matches(&pod.meta().labels))
    };
    let budgets = budgets.list_namespace(pod.namespace());
    budgets.iter().filter(|budget| counts(budget)).map(|budget| ObjectKey::of(&**budget)).collect()
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: "Pod".to_owned(),
        api_version: "v1".to_owned(),
        namespace: pod.namespace().to_owned(),
        name: pod.name().to_owned(),
        uid: pod.meta().uid.clone(),
        resource_version: pod.meta().resource_version.clone(),
        ..ObjectReference::default()
    }
}

struct Controller<'a> {
    context: &'a Context,
    recorder: Recorder,
}

impl Controller<'_> {
    async fn sync(&self, key: ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(budget) = self.context.budgets.store().get_key(&key) else { return Ok(None) };
        let now = Timestamp::now();
        let outcome = match self.snapshot(&budget, now).await {
            Ok(snapshot) => reconcile(&snapshot).inspect_err(|failure| {
                let text = format!("Failed to calculate the number of expected pods: {failure}");
                self.recorder.event_for(&*budget, WARNING, "CalculateExpectedPodCountFailed", text);
            }),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(outcome) => {
                self.tell(&budget, &outcome);
                let again = outcome.again;
                self.write(&budget, outcome.status).await?;
                Ok(again)
            }
            Err(failure) => {
                warn!(budget = ?key, failure, "cannot work out how many pods may go: none may");
                let mut status = budget.status.clone().unwrap_or_default();
                disruption::tell_failure(&mut status, &failure, Time::from(now));
                self.write(&budget, status).await?;
                Ok(None)
            }
        }
    }

    async fn snapshot(&self, budget: &PodDisruptionBudget, now: Timestamp) -> Result<Snapshot, String> {
        let spec = budget.spec.clone().unwrap_or_default();
        let selector = LabelSelector::from_meta(spec.selector.as_ref()).map_err(|error| {
            let text = format!("Failed to get pods: {error}");
            self.recorder.event_for(budget, WARNING, "NoPods", text);
            error.to_string()
        })?;
        let mut pods = self.context.pods.store().list_namespace(budget.namespace());
        pods.retain(|pod| selector.matches(&pod.meta().labels));
        if pods.is_empty() {
            self.recorder.event_for(budget, NORMAL, "NoPods", "No matching pods found");
        }
        let mut owners = BTreeMap::new();
        if decide::asks_for_owners(&spec) {
            for pod in &pods {
                let Some(controller) = controller_of(pod.meta()) else { continue };
                if !owners.contains_key(&controller.uid) {
                    let owner = owner::find(self.context, budget.namespace(), controller).await;
                    owners.insert(controller.uid.clone(), owner);
                }
            }
        }
        let status = budget.status.clone().unwrap_or_default();
        Ok(Snapshot { spec, status, generation: budget.meta().generation, pods, owners, now })
    }

    fn tell(&self, budget: &PodDisruptionBudget, outcome: &Outcome) {
        if outcome.unmanaged {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            let selector = LabelSelector::from_meta(selector).map(|selector| selector.to_string());
            let text = format!(
                "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the \
                 status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account \
                 for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.",
                selector.unwrap_or_default()
            );
            self.recorder.event_for(budget, WARNING, "UnmanagedPods", text);
        }
        for pod in &outcome.overdue {
            let key = ObjectKey::of(budget);
            let text = format!("Pod was expected by PDB {key} to be deleted but it wasn't");
            self.recorder.event(&reference(pod), WARNING, "NotDeleted", text);
        }
    }

    async fn write(
        &self,
        budget: &PodDisruptionBudget,
        status: gantry_api::policy::v1::PodDisruptionBudgetStatus,
    ) -> Result<(), Error> {
        if budget.status.as_ref() == Some(&status) {
            return Ok(());
        }
        // With its revision: an eviction that was granted meanwhile must not be forgotten.
        let mut new = budget.clone();
        new.status = Some(status);
        match self.context.client.api::<PodDisruptionBudget>(new.namespace()).update_status(&new).await {
            Ok(written) => self.context.budgets.note(written),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
