//! What the scheduler knows, and how events change it: a pure state machine around the snapshot and the queue.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::Node;

use crate::pod::Pod;
use crate::queue::{Instant, Queue};
use crate::schedule::{Decision, schedule};
use crate::snapshot::{Snapshot, is_terminal, key, node_of};

/// A pod that is assigned here before the API says so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Assumed {
    uid: String,
    node: String,
}

/// The next thing to do.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// Write this assignment, then report with [`Tracker::bound`].
    Bind {
        /// The pod.
        pod: Arc<Pod>,
        /// The node's name.
        node: String,
    },
    /// Say on the pod why no node takes it.
    Report {
        /// The pod.
        pod: Arc<Pod>,
        /// The reason, for people.
        message: String,
    },
}

/// The scheduler's state.
#[derive(Debug)]
pub struct Tracker {
    name: String,
    snapshot: Snapshot,
    queue: Queue,
    /// The unassigned pods of this scheduler.
    waiting: HashMap<String, Arc<Pod>>,
    assumed: HashMap<String, Assumed>,
    /// Where the next scan of the nodes starts.
    turn: usize,
}

impl Tracker {
    /// The state of the scheduler that pods call `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            snapshot: Snapshot::default(),
            queue: Queue::default(),
            waiting: HashMap::new(),
            assumed: HashMap::new(),
            turn: 0,
        }
    }

    /// A node came or changed.
    pub fn node_set(&mut self, node: &Node, now: Instant) {
        let before = self.snapshot.node(node.name()).map(|info| {
            (
                info.labels.clone(),
                info.taints.clone(),
                info.unschedulable,
                info.allocatable.clone(),
                info.max_pods,
            )
        });
        self.snapshot.set_node(node);
        let after = self.snapshot.node(node.name()).map(|info| {
            (
                info.labels.clone(),
                info.taints.clone(),
                info.unschedulable,
                info.allocatable.clone(),
                info.max_pods,
            )
        });
        // Most updates of a node are heartbeats, which help no pod.
        if before != after {
            self.queue.wake_all(now);
        }
    }

    /// A node went.
    pub fn node_gone(&mut self, name: &str) {
        self.snapshot.remove_node(name);
    }

    /// A pod came or changed.
    pub fn pod_set(&mut self, pod: &Arc<Pod>, now: Instant) {
        let key = key(pod);
        if !node_of(pod).is_empty() || is_terminal(pod) {
            self.assumed.remove(&key);
            self.waiting.remove(&key);
            self.queue.remove(&key);
            let freed = is_terminal(pod) && self.snapshot.is_placed(&key);
            self.snapshot.set_pod(Arc::clone(pod));
            if freed {
                self.queue.wake_all(now);
            }
            return;
        }
        match self.assumed.get(&key) {
            // An event from before the assignment.
            Some(assumed) if assumed.uid == pod.meta().uid => return,
            Some(_) => self.forget(&key, now),
            None => {}
        }
        if !self.is_mine(pod) {
            self.waiting.remove(&key);
            self.queue.remove(&key);
            return;
        }
        let spec = pod.spec.as_ref();
        let old = self.waiting.insert(key.clone(), Arc::clone(pod));
        self.queue.add(&key, spec.and_then(|spec| spec.priority).unwrap_or(0), now);
        if old.is_some_and(|old| old.spec != pod.spec || old.meta().labels != pod.meta().labels) {
            self.queue.wake(&key, now);
        }
    }

    /// A pod went.
    pub fn pod_gone(&mut self, pod: &Pod, now: Instant) {
        self.forget(&key(pod), now);
    }

    /// All pods, after events were lost: what is not among them is gone.
    pub fn resync_pods(&mut self, pods: &[Arc<Pod>], now: Instant) {
        let present: HashSet<String> = pods.iter().map(|pod| key(pod)).collect();
        let known = self.waiting.keys().map(String::as_str).chain(self.snapshot.placed_pods());
        let gone: Vec<String> = known.filter(|key| !present.contains(*key)).map(str::to_owned).collect();
        for key in gone {
            self.forget(&key, now);
        }
        for pod in pods {
            self.pod_set(pod, now);
        }
    }

    /// All nodes, after events were lost: what is not among them is gone.
    pub fn resync_nodes(&mut self, nodes: &[Arc<Node>], now: Instant) {
        let present: HashSet<&str> = nodes.iter().map(|node| node.name()).collect();
        let gone: Vec<String> = self
            .snapshot
            .nodes()
            .filter(|node| !present.contains(node.name.as_str()))
            .map(|node| node.name.clone())
            .collect();
        for name in gone {
            self.node_gone(&name);
        }
        for node in nodes {
            self.node_set(node, now);
        }
    }

    /// Takes the next pod and decides about it. `None`: nothing is due.
    pub fn next(&mut self, now: Instant) -> Option<Attempt> {
        loop {
            let key = self.queue.pop(now)?;
            // The queue holds only pods that wait; one that does not is dropped, so the loop ends.
            let Some(pod) = self.waiting.get(&key).cloned() else {
                self.queue.remove(&key);
                continue;
            };
            self.turn = self.turn.wrapping_add(1);
            return Some(match schedule(&pod, &self.snapshot, self.turn, self.turn) {
                Decision::Bind { node } => {
                    self.snapshot.place(Arc::clone(&pod), &node);
                    self.assumed.insert(key, Assumed { uid: pod.meta().uid.clone(), node: node.clone() });
                    Attempt::Bind { pod, node }
                }
                Decision::Unschedulable(why) => {
                    self.queue.unschedulable(&key, now);
                    Attempt::Report { pod, message: why.to_string() }
                }
            });
        }
    }

    /// The outcome of a [`Attempt::Bind`]. After a failure the pod is tried again later.
    pub fn bound(&mut self, pod: &Pod, success: bool, now: Instant) {
        let key = key(pod);
        if success || self.assumed.get(&key).is_none_or(|assumed| assumed.uid != pod.meta().uid) {
            return;
        }
        self.assumed.remove(&key);
        self.snapshot.remove_pod(&key);
        self.queue.failed(&key, now);
        self.queue.wake_all(now);
    }

    /// How many pods wait where.
    #[must_use]
    pub fn counts(&self) -> crate::queue::Counts {
        self.queue.counts()
    }

    /// When [`Tracker::next`] may have more to give, where nothing else happens.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.queue.next_timer()
    }

    fn is_mine(&self, pod: &Pod) -> bool {
        pod.meta().deletion_timestamp.is_none()
            && pod.spec.as_ref().is_some_and(|spec| {
                (spec.scheduler_name == self.name || spec.scheduler_name.is_empty())
                    && spec.scheduling_gates.is_empty()
            })
    }

    fn forget(&mut self, key: &str, now: Instant) {
        let occupied = self.snapshot.is_placed(key);
        self.assumed.remove(key);
        self.waiting.remove(key);
        self.queue.remove(key);
        self.snapshot.remove_pod(key);
        if occupied {
            self.queue.wake_all(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::pod::Pod;
    use gantry_api::core::v1::Pod as WholePod;
    use serde_json::json;

    use super::{Attempt, Tracker};
    use crate::testing::node;

    const START: Duration = Duration::ZERO;

    fn waiting(name: &str, cpu: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": name, "namespace": "default", "uid": name},
            "spec": {"schedulerName": "default-scheduler",
                "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}
        });
        Arc::new(serde_json::from_value::<WholePod>(pod).unwrap().into())
    }

    fn bound_node(attempt: Option<Attempt>) -> String {
        match attempt {
            Some(Attempt::Bind { node, .. }) => node,
            Some(Attempt::Report { message, .. }) => message,
            None => "nothing".into(),
        }
    }

    fn tracker() -> Tracker {
        let mut tracker = Tracker::new("default-scheduler");
        tracker.node_set(&node("a", "1", "1Gi"), START);
        tracker
    }

    #[test]
    fn an_assumed_pod_counts_until_its_binding_fails() {
        let mut tracker = tracker();
        let (first, second) = (waiting("first", "1"), waiting("second", "1"));
        tracker.pod_set(&first, START);
        tracker.pod_set(&second, START);
        assert_eq!(bound_node(tracker.next(START)), "a");
        // A late event of the unassigned pod must not free its place.
        tracker.pod_set(&first, START);
        assert_eq!(bound_node(tracker.next(START)), "0/1 nodes are available: 1 Insufficient cpu.");
        tracker.bound(&first, false, START);
        let later = START + Duration::from_secs(1);
        assert_eq!(bound_node(tracker.next(later)), "a");
    }

    #[test]
    fn a_pod_that_goes_makes_room() {
        let mut tracker = tracker();
        let (first, second) = (waiting("first", "1"), waiting("second", "1"));
        tracker.pod_set(&first, START);
        assert_eq!(bound_node(tracker.next(START)), "a");
        tracker.bound(&first, true, START);
        tracker.pod_set(&second, START);
        assert!(bound_node(tracker.next(START)).contains("Insufficient"));
        assert_eq!(bound_node(tracker.next(START + Duration::from_secs(2))), "nothing");
        tracker.pod_gone(&first, START + Duration::from_secs(2));
        assert_eq!(bound_node(tracker.next(START + Duration::from_secs(3))), "a");
    }

    #[test]
    fn heartbeats_wake_nothing() {
        let mut tracker = tracker();
        tracker.pod_set(&waiting("big", "2"), START);
        assert!(bound_node(tracker.next(START)).contains("Insufficient"));
        tracker.node_set(&node("a", "1", "1Gi"), START);
        assert_eq!(bound_node(tracker.next(START + Duration::from_secs(20))), "nothing");
        tracker.node_set(&node("a", "4", "1Gi"), START + Duration::from_secs(20));
        assert_eq!(bound_node(tracker.next(START + Duration::from_secs(21))), "a");
    }

    #[test]
    fn pods_of_others_are_left_alone() {
        let mut tracker = tracker();
        let mut pod = waiting("theirs", "1").as_ref().clone();
        pod.spec.as_mut().unwrap().scheduler_name = "custom".into();
        tracker.pod_set(&Arc::new(pod), START);
        assert_eq!(bound_node(tracker.next(START)), "nothing");
    }
}
