//! How many pods of a budget may go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::disruption;
use gantry_api::policy::v1::{PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use gantry_api::scalars::{IntOrString, Time};
use gantry_client::{PodExt, controller_of};
use jiff::{SignedDuration, Timestamp};

use super::Owner;
use crate::pod::Pod;

/// How long a pod whose eviction was granted counts as gone while it is still there.
const DELETION_LIMIT: SignedDuration = SignedDuration::from_secs(120);

/// What there is.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// What the budget says.
    pub spec: PodDisruptionBudgetSpec,
    /// What it was found to be the last time.
    pub status: PodDisruptionBudgetStatus,
    /// The generation of the spec.
    pub generation: i64,
    /// The pods that its selector matches.
    pub pods: Vec<Arc<Pod>>,
    /// The pods' controllers, by uid, where they are asked for.
    pub owners: BTreeMap<String, Owner>,
    /// The time.
    pub now: Timestamp,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The new status.
    pub status: PodDisruptionBudgetStatus,
    /// When to look again.
    pub again: Option<Duration>,
    /// Whether pods without a controller are in the way of counting.
    pub unmanaged: bool,
    /// Pods whose eviction was granted long ago and that are still there.
    pub overdue: Vec<Arc<Pod>>,
}

/// Whether the numbers are about what the pods' controllers want.
pub(super) fn asks_for_owners(spec: &PodDisruptionBudgetSpec) -> bool {
    spec.max_unavailable.is_some()
        || spec.min_available.as_ref().is_some_and(|wanted| wanted.as_str().is_some())
}

/// How many pods may go.
///
/// # Errors
/// When what the pods' controllers want cannot be told: then none may go.
pub fn reconcile(snapshot: &Snapshot) -> Result<Outcome, String> {
    let Expected { count, healthy: desired_healthy, unmanaged } = expected(snapshot)?;
    let Disrupted { pods: disrupted_pods, again, overdue } = disrupted(snapshot);
    let serves =
        |pod: &&Arc<Pod>| !pod.is_terminating() && !disrupted_pods.contains_key(pod.name()) && pod.is_ready();
    let current_healthy = number(snapshot.pods.iter().filter(serves).count());
    // Without pods none may go: the first ones may come before this is worked out anew.
    let spare = if count > 0 { current_healthy.saturating_sub(desired_healthy).max(0) } else { 0 };
    let mut status = PodDisruptionBudgetStatus {
        observed_generation: snapshot.generation,
        disrupted_pods,
        disruptions_allowed: spare,
        current_healthy,
        desired_healthy,
        expected_pods: count,
        conditions: snapshot.status.conditions.clone(),
    };
    disruption::tell_allowed(&mut status, Time::from(snapshot.now));
    Ok(Outcome { status, again, unmanaged, overdue })
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// How many pods there are to be, and how many of them must be healthy.
struct Expected {
    count: i32,
    healthy: i32,
    unmanaged: bool,
}

fn expected(snapshot: &Snapshot) -> Result<Expected, String> {
    let spec = &snapshot.spec;
    if let Some(limit) = &spec.max_unavailable {
        let (count, unmanaged) = scale(snapshot)?;
        let healthy = count.saturating_sub(scaled(limit, count)?).max(0);
        return Ok(Expected { count, healthy, unmanaged });
    }
    match &spec.min_available {
        Some(wanted) if wanted.as_str().is_some() => {
            let (count, unmanaged) = scale(snapshot)?;
            Ok(Expected { count, healthy: scaled(wanted, count)?, unmanaged })
        }
        Some(wanted) => {
            let healthy = wanted.as_int().unwrap_or_default();
            Ok(Expected { count: number(snapshot.pods.len()), healthy, unmanaged: false })
        }
        None => Ok(Expected { count: 0, healthy: 0, unmanaged: false }),
    }
}

fn scaled(value: &IntOrString, of: i32) -> Result<i32, String> {
    let wrong = || "invalid value for IntOrString: invalid type: string is not a percentage".to_owned();
    value.scaled(of, true).ok_or_else(wrong)
}

/// How many pods the pods' controllers want together, and whether some pods have none.
fn scale(snapshot: &Snapshot) -> Result<(i32, bool), String> {
    let mut scales: BTreeMap<&str, i32> = BTreeMap::new();
    let mut unmanaged = false;
    for pod in &snapshot.pods {
        let Some(controller) = controller_of(pod.meta()) else {
            unmanaged = true;
            continue;
        };
        match snapshot.owners.get(&controller.uid) {
            Some(Owner::Scale { uid, replicas }) => _ = scales.insert(uid, *replicas),
            Some(Owner::Unknown(why)) => return Err(why.clone()),
            Some(Owner::Missing) | None => {
                return Err(format!("found no controllers for pod {:?}", pod.name()));
            }
        }
    }
    Ok((scales.values().fold(0, |sum, replicas| sum.saturating_add(*replicas)), unmanaged))
}

/// The pods whose eviction was granted and that are still on their way.
struct Disrupted {
    pods: BTreeMap<String, Time>,
    again: Option<Duration>,
    overdue: Vec<Arc<Pod>>,
}

fn disrupted(snapshot: &Snapshot) -> Disrupted {
    let mut found = Disrupted { pods: BTreeMap::new(), again: None, overdue: Vec::new() };
    for pod in snapshot.pods.iter().filter(|pod| !pod.is_terminating()) {
        let Some(since) = snapshot.status.disrupted_pods.get(pod.name()) else { continue };
        let end = since.timestamp().and_then(|since| since.checked_add(DELETION_LIMIT).ok());
        match end.filter(|end| *end >= snapshot.now) {
            Some(end) => {
                let left = Duration::try_from(snapshot.now.duration_until(end)).unwrap_or_default();
                // Once the end is past, not at it.
                let left = left + Duration::from_millis(1);
                found.again = Some(found.again.map_or(left, |again| again.min(left)));
                found.pods.insert(pod.name().to_owned(), *since);
            }
            None => found.overdue.push(pod.clone()),
        }
    }
    found
}

#[cfg(test)]
mod tests;
