//! A change of size in the middle of a roll-out: each ReplicaSet gets its share.

use std::cmp::Reverse;

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, ReplicaSet};

use super::annotations::{self, MAX};
use super::decide::{Action, Sets, recreates, resize, size, wanted};
use super::rolling::{available, max_surge};

/// Brings the ReplicaSets to the Deployment's size without a roll-out's progress.
pub(super) fn proportionally(deployment: &Deployment, sets: &mut Sets, actions: &mut Vec<Action>) {
    let active = sets.all().filter(|set| size(set) > 0).count();
    if active <= 1 {
        // One has all pods; where none has any, the newest gets them.
        let only = match sets.old.iter().position(|set| size(set) > 0) {
            Some(position) => sets.old.get_mut(position),
            None => sets.new.as_mut().or(sets.old.last_mut()),
        };
        if let Some(set) = only
            && size(set) != wanted(deployment)
        {
            resize(deployment, set, wanted(deployment), actions);
        }
        return;
    }
    if let Some(new) = &sets.new
        && size(new) == wanted(deployment)
        && available(new) == wanted(deployment)
    {
        for old in sets.old.iter_mut().filter(|set| size(set) > 0) {
            resize(deployment, old, 0, actions);
        }
        return;
    }
    if recreates(deployment) {
        return;
    }
    let mut all: Vec<&mut ReplicaSet> =
        sets.old.iter_mut().chain(&mut sets.new).filter(|set| size(set) > 0).collect();
    let allowed = if wanted(deployment) > 0 { wanted(deployment) + max_surge(deployment) } else { 0 };
    let total: i32 = all.iter().map(|set| size(set)).sum();
    let add = allowed - total;
    // The largest first: rounding then hits those that it hurts least. Among equals the newest grows, the oldest shrinks.
    if add >= 0 {
        all.sort_by_key(|set| (Reverse(size(set)), Reverse(set.meta().creation_timestamp)));
    } else {
        all.sort_by_key(|set| (Reverse(size(set)), set.meta().creation_timestamp));
    }
    let mut added = 0;
    let mut sizes: Vec<i32> = all
        .iter()
        .map(|set| {
            let share = share(deployment, set, add, added);
            added += share;
            size(set) + share
        })
        .collect();
    if let Some(first) = sizes.first_mut() {
        *first = (*first + add - added).max(0);
    }
    for (set, to) in all.into_iter().zip(sizes) {
        resize(deployment, set, to, actions);
    }
}

/// What a ReplicaSet gets of `add`, of which `added` is given away.
fn share(deployment: &Deployment, set: &ReplicaSet, add: i32, added: i32) -> i32 {
    let left = add - added;
    if left == 0 {
        return 0;
    }
    let share = fraction(deployment, set);
    if add > 0 { share.min(left).max(0) } else { share.max(left).min(0) }
}

/// By how much a ReplicaSet's size changes when it keeps its part of the whole.
fn fraction(deployment: &Deployment, set: &ReplicaSet) -> i32 {
    if wanted(deployment) == 0 {
        return -size(set);
    }
    let present = deployment.status.as_ref().map_or(0, |status| status.replicas);
    let before = annotations::noted(set, MAX).unwrap_or(present);
    if before <= 0 {
        return 0;
    }
    let after = i64::from(size(set)) * i64::from(wanted(deployment) + max_surge(deployment));
    let before = i64::from(before);
    // Rounded half away from zero; neither number is negative.
    let rounded = (2 * after + before) / (2 * before);
    i32::try_from(rounded).unwrap_or(i32::MAX) - size(set)
}
