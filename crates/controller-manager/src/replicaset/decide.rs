//! How many pods to create, and which to delete.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::apps::v1::ReplicaSet;
use gantry_client::PodExt;
use jiff::Timestamp;

use crate::pod::Pod;

use super::rank;

/// Pods that are created or deleted in one go, at most.
const BURST: usize = 500;

/// What there is.
#[derive(Debug)]
pub struct Snapshot {
    /// The ReplicaSet.
    pub set: Arc<ReplicaSet>,
    /// Its pods, those that are finished or being deleted included.
    pub pods: Vec<Arc<Pod>>,
    /// How many pods of this and related ReplicaSets each node has.
    pub neighbours: HashMap<String, usize>,
    /// The present.
    pub now: Timestamp,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create so many pods.
    Create(usize),
    /// Delete these pods.
    Delete(Vec<Arc<Pod>>),
}

/// What to do so that there are as many active pods as asked for.
#[must_use]
pub fn reconcile(snapshot: &Snapshot) -> Vec<Action> {
    if snapshot.set.meta().deletion_timestamp.is_some() {
        return Vec::new();
    }
    let active: Vec<&Arc<Pod>> = snapshot.pods.iter().filter(|pod| pod.is_active()).collect();
    let wanted = usize::try_from(replicas(&snapshot.set)).unwrap_or(0);
    if active.len() < wanted {
        return vec![Action::Create((wanted - active.len()).min(BURST))];
    }
    let surplus = (active.len() - wanted).min(BURST);
    if surplus == 0 {
        return Vec::new();
    }
    let mut ranked: Vec<_> =
        active.into_iter().map(|pod| (rank::of(pod, &snapshot.neighbours, snapshot.now), pod)).collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0));
    vec![Action::Delete(ranked.into_iter().take(surplus).map(|(_, pod)| pod.clone()).collect())]
}

/// When to look again although nothing changes: when the next ready pod becomes available.
#[must_use]
pub(super) fn again(snapshot: &Snapshot) -> Option<Duration> {
    let minimum = snapshot.set.spec.as_ref().map_or(0, |spec| spec.min_ready_seconds);
    if minimum <= 0 {
        return None;
    }
    let next = snapshot
        .pods
        .iter()
        .filter(|pod| pod.is_active())
        .filter_map(|pod| pod.available_at(minimum))
        .filter(|time| *time > snapshot.now)
        .min()?;
    Some(next.duration_since(snapshot.now).unsigned_abs())
}

/// How many pods are asked for.
pub(super) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Action, Snapshot, again, reconcile};
    use crate::pod::{Pod, PodSpec, PodStatus};
    use gantry_api::apps::v1::{ReplicaSet, ReplicaSetSpec};
    use gantry_api::core::v1::PodCondition;
    use gantry_api::scalars::Time;
    use jiff::Timestamp;
    use std::sync::Arc;
    use std::time::Duration;

    pub(in crate::replicaset) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A pod on a node in a phase; ready since a second, where that is given.
    pub(in crate::replicaset) fn pod(name: &str, node: &str, phase: &str, ready: Option<i64>) -> Pod {
        let condition = PodCondition {
            r#type: "Ready".into(),
            status: if ready.is_some() { "True" } else { "False" }.into(),
            last_transition_time: ready.map(|second| Time::from(at(second))),
            ..Default::default()
        };
        let mut pod = Pod {
            spec: Some(PodSpec { node_name: node.into(), ..Default::default() }),
            status: Some(PodStatus {
                phase: phase.into(),
                conditions: vec![condition],
                ..Default::default()
            }),
            ..Default::default()
        };
        pod.meta_mut().name = name.into();
        pod.meta_mut().uid = name.into();
        pod.meta_mut().creation_timestamp = Some(Time::from(at(0)));
        pod
    }

    pub(in crate::replicaset) fn snapshot(replicas: i32, pods: Vec<Pod>) -> Snapshot {
        let spec = ReplicaSetSpec { replicas: Some(replicas), ..Default::default() };
        Snapshot {
            set: Arc::new(ReplicaSet { spec: Some(spec), ..Default::default() }),
            pods: pods.into_iter().map(Arc::new).collect(),
            neighbours: Default::default(),
            now: at(1000),
        }
    }

    fn deleted(snapshot: &Snapshot) -> Vec<String> {
        match reconcile(snapshot).as_slice() {
            [Action::Delete(pods)] => pods.iter().map(|pod| pod.name().to_owned()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn finished_and_leaving_pods_are_replaced() {
        let mut leaving = pod("leaving", "n1", "Running", Some(1));
        leaving.meta_mut().deletion_timestamp = Some(Time::from(at(5)));
        let pods = vec![leaving, pod("failed", "n1", "Failed", None), pod("a", "n1", "Running", Some(1))];
        assert_eq!(reconcile(&snapshot(3, pods)), [Action::Create(2)]);
        assert_eq!(reconcile(&snapshot(0, vec![])), []);
        assert_eq!(reconcile(&snapshot(2000, vec![])), [Action::Create(500)]);
    }

    #[test]
    fn the_least_useful_pods_go_first() {
        let pods = vec![
            pod("ready", "n1", "Running", Some(10)),
            pod("unready", "n1", "Running", None),
            pod("pending", "n1", "Pending", None),
            pod("unassigned", "", "Pending", None),
        ];
        assert_eq!(deleted(&snapshot(0, pods.clone())), ["unassigned", "pending", "unready", "ready"]);
        assert_eq!(deleted(&snapshot(3, pods)), ["unassigned"]);
    }

    #[test]
    fn crowded_nodes_and_young_pods_go_first() {
        let mut crowded = snapshot(
            1,
            vec![pod("lonely", "n1", "Running", Some(900)), pod("crowded", "n2", "Running", Some(10))],
        );
        crowded.neighbours = [("n1".to_owned(), 1), ("n2".to_owned(), 3)].into();
        assert_eq!(deleted(&crowded), ["crowded"]);
        let young = snapshot(
            1,
            vec![pod("old", "n1", "Running", Some(10)), pod("young", "n2", "Running", Some(990))],
        );
        assert_eq!(deleted(&young), ["young"]);
    }

    #[test]
    fn the_cost_comes_before_the_age() {
        let mut dear = pod("dear", "n1", "Running", Some(990));
        dear.meta_mut().annotations.insert("controller.kubernetes.io/pod-deletion-cost".into(), "10".into());
        assert_eq!(deleted(&snapshot(1, vec![dear, pod("cheap", "n1", "Running", Some(10))])), ["cheap"]);
    }

    #[test]
    fn it_looks_again_when_a_pod_becomes_available() {
        let mut snapshot = snapshot(1, vec![pod("a", "n1", "Running", Some(995))]);
        assert_eq!(again(&snapshot), None);
        let mut set = ReplicaSet::default();
        set.spec.get_or_insert_default().min_ready_seconds = 30;
        snapshot.set = Arc::new(set);
        assert_eq!(again(&snapshot), Some(Duration::from_secs(25)));
    }
}
