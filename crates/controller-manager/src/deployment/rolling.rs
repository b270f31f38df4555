//! The rolling update: grow the new, shrink the old, never too many, never too few.

use gantry_api::apps::v1::{Deployment, ReplicaSet};
use gantry_api::scalars::IntOrString;

use super::decide::{Action, Sets, recreates, resize, size, wanted};

/// How many pods there may be above the number wanted.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    if recreates(deployment) { 0 } else { limits(deployment).0 }
}

/// How many of the wanted pods may be unavailable.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    if recreates(deployment) || wanted(deployment) == 0 {
        return 0;
    }
    limits(deployment).1.min(wanted(deployment))
}

/// Both limits: the surge rounded up, the unavailable ones down; where both are zero, which would forbid any change,
/// one may be unavailable.
fn limits(deployment: &Deployment) -> (i32, i32) {
    let rolling = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.strategy.as_ref())
        .and_then(|strategy| strategy.rolling_update.as_ref());
    let quarter = IntOrString::from("25%");
    let scaled = |value: Option<&IntOrString>, up| {
        value.unwrap_or(&quarter).scaled(wanted(deployment), up).unwrap_or(0).max(0)
    };
    let surge = scaled(rolling.and_then(|rolling| rolling.max_surge.as_ref()), true);
    let unavailable = scaled(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// The size that the new ReplicaSet may have now.
pub(super) fn new_size<'a>(
    deployment: &Deployment,
    new: &ReplicaSet,
    old: impl Iterator<Item = &'a ReplicaSet>,
) -> i32 {
    if recreates(deployment) {
        return wanted(deployment);
    }
    let total = old.map(size).sum::<i32>() + size(new);
    let room = wanted(deployment) + max_surge(deployment) - total;
    if room <= 0 {
        return size(new);
    }
    size(new) + room.min(wanted(deployment) - size(new))
}

/// Grows the new ReplicaSet as far as the surge allows, or shrinks it to what is wanted; whether it did.
pub(super) fn grow_new(deployment: &Deployment, sets: &mut Sets, actions: &mut Vec<Action>) -> bool {
    let Some(new) = &mut sets.new else { return false };
    let to = if size(new) > wanted(deployment) {
        wanted(deployment)
    } else {
        new_size(deployment, new, sets.old.iter())
    };
    to != size(new) && resize(deployment, new, to, actions)
}

/// Shrinks the old ReplicaSets as far as availability allows: first by pods that are not available, then by others.
pub(super) fn shrink_old(deployment: &Deployment, sets: &mut Sets, actions: &mut Vec<Action>) {
    let Some(new) = &sets.new else { return };
    let total: i32 = sets.all().map(size).sum();
    if sets.old.iter().all(|set| size(set) == 0) {
        return;
    }
    let minimum = wanted(deployment) - max_unavailable(deployment);
    let new_unavailable = (size(new) - available(new)).max(0);
    let mut spare = total - minimum - new_unavailable;
    if spare <= 0 {
        return;
    }
    // Pods that do not serve go without harm.
    let mut targets: Vec<i32> = sets.old.iter().map(size).collect();
    for (set, target) in sets.old.iter().zip(&mut targets) {
        let drop = (*target - available(set)).max(0).min(spare);
        *target -= drop;
        spare -= drop;
    }
    // Pods that serve go as far as the others, those of the new ReplicaSet included, make up for them. A status may
    // still count pods that an earlier step gave up.
    let mut spare = sets.all().map(|set| available(set).min(size(set))).sum::<i32>() - minimum;
    for target in &mut targets {
        let drop = (*target).min(spare).max(0);
        *target -= drop;
        spare -= drop;
    }
    for (set, target) in sets.old.iter_mut().zip(targets) {
        if target != size(set) {
            resize(deployment, set, target, actions);
        }
    }
}

/// How many pods of a ReplicaSet are available.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.available_replicas)
}
