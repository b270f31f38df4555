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

#[cfg(test)]
mod tests {
    use super::of;
    use crate::pod::{ContainerStatus, Pod};
    use crate::replicaset::decide::tests::{at, pod};
    use gantry_api::scalars::Time;
    use std::collections::HashMap;

    /// Which of two pods goes: the left must.
    fn check(what: &str, left: &Pod, right: &Pod) {
        let neighbours: HashMap<String, usize> = [("crowded".to_owned(), 3), ("lonely".to_owned(), 1)].into();
        let rank = |pod: &Pod| of(pod, &neighbours, at(100_000));
        assert!(rank(left) < rank(right), "{what}: {:?} before {:?}", rank(left), rank(right));
    }

    fn with(mut pod: Pod, change: impl FnOnce(&mut Pod)) -> Pod {
        change(&mut pod);
        pod
    }

    fn cost(pod: Pod, cost: &str) -> Pod {
        with(pod, |pod| {
            pod.meta_mut().annotations.insert(super::DELETION_COST.into(), cost.into());
        })
    }

    fn restarts(pod: Pod, counts: &[i32]) -> Pod {
        with(pod, |pod| {
            let statuses = counts.iter().map(|count| ContainerStatus { restart_count: *count }).collect();
            pod.status.as_mut().unwrap().container_statuses = statuses;
        })
    }

    fn created(pod: Pod, second: i64) -> Pod {
        with(pod, |pod| pod.meta_mut().creation_timestamp = Some(Time::from(at(second))))
    }

    /// Each criterion decides where those before it are equal, whatever those after it say: the right pod is the worse
    /// one by the next criterion.
    #[test]
    fn the_criteria_come_in_upstreams_order() {
        let ready = |name: &str| pod(name, "lonely", "Running", Some(10));
        check("unassigned", &cost(pod("a", "", "Pending", None), "9"), &pod("b", "lonely", "Pending", None));
        check("phase", &pod("a", "lonely", "Pending", None), &pod("b", "lonely", "Unknown", None));
        check("phase", &pod("a", "lonely", "Unknown", Some(10)), &pod("b", "lonely", "Running", None));
        check("unready", &cost(pod("a", "lonely", "Running", None), "9"), &ready("b"));
        check("cost", &cost(ready("a"), "-1"), &pod("b", "crowded", "Running", Some(10)));
        check("cost", &ready("a"), &cost(pod("b", "crowded", "Running", Some(10)), "1"));
        check(
            "neighbours",
            &pod("a", "crowded", "Running", Some(10)),
            &pod("b", "lonely", "Running", Some(99_990)),
        );
        check("ready since", &pod("a", "lonely", "Running", Some(99_000)), &restarts(ready("b"), &[5]));
        check("restarts", &restarts(ready("a"), &[0, 2]), &created(restarts(ready("b"), &[1, 1]), 99_990));
        check("age", &created(ready("b"), 99_000), &ready("a"));
    }

    #[test]
    fn pods_of_about_the_same_age_are_alike() {
        let (first, second) = (created(pod("a", "lonely", "Running", Some(10)), 10), 20);
        let other = created(pod("b", "lonely", "Running", Some(10)), second);
        check("only the uid differs", &first, &other);
        assert_eq!(
            of(&first, &HashMap::new(), at(100_000)).age,
            of(&other, &HashMap::new(), at(100_000)).age
        );
    }

    #[test]
    fn a_cost_that_is_no_number_counts_as_none() {
        let odd = cost(pod("b", "lonely", "Running", Some(10)), "much");
        check("zero", &pod("a", "lonely", "Running", Some(10)), &odd);
    }
}
