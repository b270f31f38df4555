//! Which nodes are silent.

use std::collections::HashMap;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::coordination::v1::Lease;
use gantry_api::core::v1::{Node, NodeCondition};
use gantry_api::scalars::{MicroTime, Time};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::Options;

const READY: &str = "Ready";
/// What only a node itself can know.
const CONDITIONS: [&str; 4] = [READY, "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What is remembered of each node. Times are this process' own: clocks of nodes are not compared with them.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    nodes: HashMap<String, Heard>,
}

#[derive(Debug)]
struct Heard {
    lease: Option<MicroTime>,
    status: Option<Time>,
    last: Instant,
}

/// The value of the Ready condition, where there is one.
pub(super) fn readiness(node: &Node) -> Option<&str> {
    condition(node, READY).map(|condition| condition.status.as_str())
}

/// Whether nobody hears of the node.
pub(super) fn is_unreachable(node: &Node) -> bool {
    readiness(node) == Some("Unknown")
}

/// A condition of a node.
pub(super) fn condition<'a>(node: &'a Node, r#type: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == r#type)
}

impl Monitor {
    /// Forgets nodes that are gone.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.nodes.retain(|name, _| keep(name));
    }

    /// Takes note of a node's heartbeats. Where it has become silent: the node with the conditions to write.
    pub(super) fn check(
        &mut self,
        node: &Node,
        lease: Option<&Lease>,
        options: &Options,
        now: Instant,
        wall: Timestamp,
    ) -> Option<Node> {
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time);
        let posted = condition(node, READY).and_then(|condition| condition.last_heartbeat_time);
        let heard = self.nodes.entry(node.name().to_owned()).or_insert(Heard {
            lease: renewed,
            status: posted,
            last: now,
        });
        // Any change is a sign of life, also one to an earlier time: the node's clock may have been set.
        let beats = renewed.is_some() && renewed != heard.lease;
        let posts = posted.is_some() && posted != heard.status;
        if beats || posts {
            *heard = Heard { lease: renewed, status: posted, last: now };
        }
        let never = posted.is_none() && renewed.is_none();
        let grace = if never { options.node_startup_grace_period } else { options.node_monitor_grace_period };
        if is_silent(heard.last, grace, now) { silence(node, wall) } else { None }
    }
}

fn is_silent(last: Instant, grace: Duration, now: Instant) -> bool {
    now.duration_since(last) > grace
}

/// The node with what is unknown now; `None` where that stands already.
fn silence(node: &Node, wall: Timestamp) -> Option<Node> {
    let mut silent = node.clone();
    let conditions = &mut silent.status.get_or_insert_default().conditions;
    let now = Some(Time::from(wall));
    let mut changed = false;
    for r#type in CONDITIONS {
        match conditions.iter_mut().find(|condition| condition.r#type == r#type) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                changed = true;
                condition.status = "Unknown".to_owned();
                condition.reason = "NodeStatusUnknown".to_owned();
                condition.message = "Kubelet stopped posting node status.".to_owned();
                condition.last_transition_time = now;
            }
            None => {
                changed = true;
                conditions.push(NodeCondition {
                    r#type: r#type.to_owned(),
                    status: "Unknown".to_owned(),
                    reason: "NodeStatusNeverUpdated".to_owned(),
                    message: "Kubelet never posted node status.".to_owned(),
                    last_heartbeat_time: node.meta().creation_timestamp,
                    last_transition_time: now,
                });
            }
        }
    }
    changed.then_some(silent)
}

#[cfg(test)]
mod tests {
    use super::{Monitor, is_unreachable};
    use crate::Options;
    use clap::Parser;
    use gantry_api::Resource;
    use gantry_api::coordination::v1::Lease;
    use gantry_api::core::v1::{Node, NodeCondition};
    use gantry_api::scalars::{MicroTime, Time};
    use jiff::Timestamp;
    use std::time::Duration;
    use tokio::time::Instant;

    fn lease(second: i64) -> Lease {
        let mut lease = Lease::default();
        lease.spec.get_or_insert_default().renew_time =
            Some(MicroTime::from(Timestamp::from_second(second).unwrap()));
        lease
    }

    fn node() -> Node {
        let mut node = Node::default();
        node.meta_mut().name = "n1".into();
        node.status.get_or_insert_default().conditions = vec![NodeCondition {
            r#type: "Ready".into(),
            status: "True".into(),
            last_heartbeat_time: Some(Time::from(Timestamp::from_second(1).unwrap())),
            ..Default::default()
        }];
        node
    }

    #[test]
    fn a_node_is_silent_when_neither_lease_nor_status_comes() {
        let options = Options::parse_from(["x", "--kubeconfig", "k"]);
        let (mut monitor, start, wall) = (Monitor::default(), Instant::now(), Timestamp::UNIX_EPOCH);
        let mut check = |node: &Node, lease: &Lease, second: u64| {
            monitor.check(node, Some(lease), &options, start + Duration::from_secs(second), wall)
        };
        // A lease that was old when it was first seen starts the wait.
        assert!(check(&node(), &lease(0), 0).is_none());
        assert!(check(&node(), &lease(0), 40).is_none());
        assert!(check(&node(), &lease(10), 41).is_none());
        assert!(check(&node(), &lease(10), 81).is_none());
        let silent = check(&node(), &lease(10), 82).unwrap();
        assert!(is_unreachable(&silent));
        assert_eq!(silent.status.as_ref().unwrap().conditions.len(), 4);
        assert!(check(&silent, &lease(10), 90).is_none(), "written once");
        let mut back = node();
        back.status.as_mut().unwrap().conditions[0].last_heartbeat_time =
            Some(Time::from(Timestamp::from_second(90).unwrap()));
        assert!(check(&back, &lease(10), 91).is_none());
    }
}
