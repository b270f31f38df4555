//! Which pods are missed least.

use std::cmp::Reverse;
use std::collections::HashMap;

use gantry_api::scalars::Time;
use gantry_client::PodExt;
use jiff::Timestamp;

use crate::pod::{DELETION_COST, Pod};

/// A pod's rank: the smallest goes first. The fields are compared in this order, as upstream does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    neighbours: Reverse<usize>,
    ready_for: u32,
    restarts: Reverse<i32>,
    age: u32,
    /// Decides between pods that are alike, without preferring the order of names.
    uid: String,
}

/// A pod's rank.
pub(super) fn of(pod: &Pod, neighbours: &HashMap<String, usize>, now: Timestamp) -> Rank {
    let ready = pod.is_ready();
    let ready_since = pod.condition("Ready").and_then(|condition| condition.last_transition_time.as_ref());
    let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
    Rank {
        assigned: !pod.node_name().is_empty(),
        phase: match pod.phase() {
            "Running" => 2,
            "Unknown" => 1,
            _ => 0,
        },
        ready,
        cost: pod.meta().annotations.get(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or(0),
        neighbours: Reverse(neighbours.get(pod.node_name()).copied().unwrap_or(0)),
        ready_for: if ready { magnitude(ready_since, now) } else { 0 },
        restarts: Reverse(statuses.map(|status| status.restart_count).max().unwrap_or(0)),
        age: magnitude(pod.meta().creation_timestamp.as_ref(), now),
        uid: pod.meta().uid.clone(),
    }
}

/// The order of magnitude of an age, so that pods of about the same age are alike and not always the youngest goes.
fn magnitude(since: Option<&Time>, now: Timestamp) -> u32 {
    let Some(since) = since.and_then(Time::timestamp) else { return 0 };
    let seconds = u64::try_from(now.duration_since(since).as_secs()).unwrap_or(0);
    seconds.checked_ilog2().map_or(0, |magnitude| magnitude + 1)
}
