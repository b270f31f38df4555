//! What to do about a Deployment's ReplicaSets.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use gantry_api::meta::v1::{LabelSelector, ObjectMeta};
use gantry_client::{PodExt, controller_of, controller_reference};
use jiff::Timestamp;

use crate::pod::Pod;

use super::annotations::{self, DESIRED, REVISION};
use super::{conditions, rolling, scale, status, template};

/// What there is.
#[derive(Debug)]
pub struct Snapshot {
    /// The Deployment.
    pub deployment: Arc<Deployment>,
    /// Its ReplicaSets.
    pub sets: Vec<Arc<ReplicaSet>>,
    /// Their pods.
    pub pods: Vec<Arc<Pod>>,
    /// The present.
    pub now: Timestamp,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create a ReplicaSet.
    Create(Box<ReplicaSet>),
    /// Write a ReplicaSet anew; the event says how its size changes.
    Update {
        /// Its new state.
        set: Box<ReplicaSet>,
        /// What to tell.
        event: Option<String>,
    },
    /// Delete a ReplicaSet of the history.
    Delete(Arc<ReplicaSet>),
    /// Note the revision on the Deployment.
    Revision(String),
    /// Write the status.
    Status(Box<DeploymentStatus>),
    /// Look again after so long, although nothing changes.
    Again(Duration),
}

/// The ReplicaSets by their part in the roll-out.
#[derive(Debug, Clone)]
pub(super) struct Sets {
    /// The one whose pods are what is asked for.
    pub(super) new: Option<ReplicaSet>,
    /// All others, the oldest first.
    pub(super) old: Vec<ReplicaSet>,
}

impl Sets {
    pub(super) fn all(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.old.iter().chain(&self.new)
    }
}

/// What to do so that the Deployment gets on.
#[must_use]
pub fn reconcile(snapshot: &Snapshot) -> Vec<Action> {
    let deployment = &*snapshot.deployment;
    let mut sets = sort(deployment, &snapshot.sets);
    let mut actions = Vec::new();
    if deployment.meta().deletion_timestamp.is_some() {
        finish(snapshot, &sets, None, &mut actions);
        return actions;
    }
    let paused = deployment.spec.as_ref().is_some_and(|spec| spec.paused);
    let mut hint = None;
    if paused || is_scaled(deployment, &sets) {
        if let Some(new) = &mut sets.new {
            adjust_new(snapshot, new, &sets.old, &mut actions, &mut hint);
        }
        scale::proportionally(deployment, &mut sets, &mut actions);
        if paused {
            clean_up(deployment, &sets, &mut actions);
        }
        finish(snapshot, &sets, hint, &mut actions);
        return actions;
    }
    if recreates(deployment) {
        recreate(snapshot, &mut sets, &mut actions, &mut hint);
    } else {
        ensure_new(snapshot, &mut sets, &mut actions, &mut hint);
        if !rolling::grow_new(deployment, &mut sets, &mut actions) {
            rolling::shrink_old(deployment, &mut sets, &mut actions);
        }
    }
    if status::is_complete(deployment, &status::count(deployment, &sets)) {
        clean_up(deployment, &sets, &mut actions);
    }
    finish(snapshot, &sets, hint, &mut actions);
    actions
}

/// Whether old and new pods must not run at once.
pub(super) fn recreates(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    strategy.is_some_and(|strategy| strategy.r#type == "Recreate")
}

/// How many pods the Deployment asks for.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How many pods a ReplicaSet asks for.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn sort(deployment: &Deployment, sets: &[Arc<ReplicaSet>]) -> Sets {
    let mut old: Vec<ReplicaSet> = sets.iter().map(|set| (**set).clone()).collect();
    old.sort_by(|a, b| {
        let created = |set: &ReplicaSet| (set.meta().creation_timestamp, set.name().to_owned());
        created(a).cmp(&created(b))
    });
    // Of several that are the same, which only a defect can make, the oldest is taken.
    let position = old.iter().position(|set| template::same(set, deployment));
    let new = position.map(|position| old.remove(position));
    Sets { new, old }
}

/// Whether the Deployment's size was changed since its ReplicaSets were last scaled.
fn is_scaled(deployment: &Deployment, sets: &Sets) -> bool {
    sets.all()
        .filter(|set| size(set) > 0)
        .any(|set| annotations::noted(set, DESIRED).is_some_and(|desired| desired != wanted(deployment)))
}

/// The new ReplicaSet, created where it is missing.
fn ensure_new(snapshot: &Snapshot, sets: &mut Sets, actions: &mut Vec<Action>, hint: &mut Option<Hint>) {
    match &mut sets.new {
        Some(new) => adjust_new(snapshot, new, &sets.old, actions, hint),
        None => {
            let new = create(&snapshot.deployment, sets);
            *hint = Some(Hint::Created(new.name().to_owned()));
            actions.push(Action::Create(Box::new(new.clone())));
            push_revision(&snapshot.deployment, annotations::revision(&new), actions);
            sets.new = Some(new);
        }
    }
}

/// Brings annotations, revision and readiness time of the new ReplicaSet up to date.
fn adjust_new(
    snapshot: &Snapshot,
    new: &mut ReplicaSet,
    old: &[ReplicaSet],
    actions: &mut Vec<Action>,
    hint: &mut Option<Hint>,
) {
    let deployment = &*snapshot.deployment;
    let revision = next_revision(old).max(annotations::revision(new));
    let mut changed = annotations::renew(deployment, new, revision, true);
    let minimum = deployment.spec.as_ref().map_or(0, |spec| spec.min_ready_seconds);
    let spec = new.spec.get_or_insert_default();
    if spec.min_ready_seconds != minimum {
        spec.min_ready_seconds = minimum;
        changed = true;
    }
    if changed {
        push_update(new, None, actions);
    }
    push_revision(deployment, annotations::revision(new), actions);
    let told = deployment
        .status
        .as_ref()
        .is_some_and(|status| conditions::get(status, conditions::PROGRESSING).is_some());
    if !told {
        *hint = Some(Hint::Found(new.name().to_owned()));
    }
}

fn next_revision(old: &[ReplicaSet]) -> i64 {
    old.iter().map(annotations::revision).max().unwrap_or(0).saturating_add(1)
}

fn push_revision(deployment: &Deployment, revision: i64, actions: &mut Vec<Action>) {
    let revision = revision.to_string();
    if deployment.meta().annotations.get(REVISION) != Some(&revision) {
        actions.push(Action::Revision(revision));
    }
}

fn create(deployment: &Deployment, sets: &Sets) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let mut template = spec.template.unwrap_or_default();
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
    let hash = template::hash(&template, collisions);
    let labels = &mut template.metadata.get_or_insert_default().labels;
    labels.insert(template::HASH.to_owned(), hash.clone());
    let labels = labels.clone();
    let mut selector: LabelSelector = spec.selector.unwrap_or_default();
    selector.match_labels.insert(template::HASH.to_owned(), hash.clone());
    let mut new = ReplicaSet {
        metadata: Some(ObjectMeta {
            name: format!("{}-{hash}", deployment.name()),
            namespace: deployment.namespace().to_owned(),
            labels,
            owner_references: vec![controller_reference(deployment)],
            ..ObjectMeta::default()
        }),
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: spec.min_ready_seconds,
            selector: Some(selector),
            template: Some(template),
        }),
        status: None,
    };
    let replicas = rolling::new_size(deployment, &new, sets.old.iter());
    new.spec.get_or_insert_default().replicas = Some(replicas);
    annotations::renew(deployment, &mut new, next_revision(&sets.old), false);
    annotations::note_size(&mut new, wanted(deployment), wanted(deployment) + rolling::max_surge(deployment));
    new
}

/// First no old pods, then new ones.
fn recreate(snapshot: &Snapshot, sets: &mut Sets, actions: &mut Vec<Action>, hint: &mut Option<Hint>) {
    let deployment = &*snapshot.deployment;
    if let Some(new) = &mut sets.new {
        adjust_new(snapshot, new, &sets.old, actions, hint);
    }
    let mut shrunk = false;
    for old in &mut sets.old {
        shrunk |= resize(deployment, old, 0, actions);
    }
    if shrunk || old_pods_run(&snapshot.pods, sets) {
        return;
    }
    if sets.new.is_none() {
        ensure_new(snapshot, sets, actions, hint);
    }
    if let Some(new) = &mut sets.new {
        resize(deployment, new, wanted(deployment), actions);
    }
}

fn old_pods_run(pods: &[Arc<Pod>], sets: &Sets) -> bool {
    pods.iter().any(|pod| {
        let owner = controller_of(pod.meta()).map(|owner| owner.uid.as_str());
        !pod.is_finished() && sets.old.iter().any(|set| owner == Some(&set.meta().uid))
    })
}

/// Gives a ReplicaSet a size and notes the Deployment's; whether its size changed.
pub(super) fn resize(
    deployment: &Deployment,
    set: &mut ReplicaSet,
    to: i32,
    actions: &mut Vec<Action>,
) -> bool {
    let from = size(set);
    let max = wanted(deployment) + rolling::max_surge(deployment);
    let noted = annotations::note_size(set, wanted(deployment), max);
    if from == to && !noted {
        return false;
    }
    set.spec.get_or_insert_default().replicas = Some(to);
    let event = (from != to).then(|| {
        let direction = if to > from { "up" } else { "down" };
        format!("Scaled {direction} replica set {} from {from} to {to}", set.name())
    });
    push_update(set, event, actions);
    from != to
}

/// Writes a ReplicaSet, together with what an earlier action of this plan changes about it.
fn push_update(set: &ReplicaSet, event: Option<String>, actions: &mut Vec<Action>) {
    for action in actions.iter_mut() {
        match action {
            Action::Update { set: planned, event: told } if planned.name() == set.name() => {
                **planned = set.clone();
                if event.is_some() {
                    *told = event;
                }
                return;
            }
            Action::Create(planned) if planned.name() == set.name() => {
                **planned = set.clone();
                return;
            }
            _ => {}
        }
    }
    actions.push(Action::Update { set: Box::new(set.clone()), event });
}

/// Deletes what exceeds the history: ReplicaSets without pods, those of the lowest revisions first.
fn clean_up(deployment: &Deployment, sets: &Sets, actions: &mut Vec<Action>) {
    let Some(limit) = deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit) else { return };
    let mut old: Vec<&ReplicaSet> =
        sets.old.iter().filter(|set| set.meta().deletion_timestamp.is_none()).collect();
    old.sort_by_key(|set| annotations::revision(set));
    let excess = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
    for set in old.into_iter().take(excess) {
        let status = set.status.clone().unwrap_or_default();
        if status.replicas == 0 && size(set) == 0 && set.meta().generation <= status.observed_generation {
            actions.push(Action::Delete(Arc::new(set.clone())));
        }
    }
}

/// What the decision says about progress, beyond the numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hint {
    /// A new ReplicaSet of this name is created.
    Created(String),
    /// One was found, and nothing was said about progress yet.
    Found(String),
}

fn finish(snapshot: &Snapshot, sets: &Sets, hint: Option<Hint>, actions: &mut Vec<Action>) {
    let (status, again) = status::status(snapshot, sets, hint);
    if snapshot.deployment.status.as_ref() != Some(&status) {
        actions.push(Action::Status(Box::new(status)));
    }
    if let Some(delay) = again {
        actions.push(Action::Again(delay));
    }
}
