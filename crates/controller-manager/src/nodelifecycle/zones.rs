//! How fast nodes may lose their pods: where many nodes are silent at once, it is more likely that this side is cut off.

use std::collections::HashMap;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::Node;
use tokio::time::Instant;

use super::health::readiness;
use crate::Options;

/// How a zone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Normal,
    /// Many nodes are not ready.
    Partial,
    /// All are.
    Full,
}

#[derive(Debug)]
struct Zone {
    state: State,
    size: usize,
    tokens: f64,
    last: Instant,
}

/// Gives out places among the evictions, zone by zone.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: f64,
    secondary_rate: f64,
    threshold: f64,
    large: usize,
    zones: HashMap<String, Zone>,
}

impl Limiter {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            rate: options.node_eviction_rate,
            secondary_rate: options.secondary_node_eviction_rate,
            threshold: options.unhealthy_zone_threshold,
            large: options.large_cluster_size_threshold,
            zones: HashMap::new(),
        }
    }

    /// Takes note of how the nodes are.
    pub(super) fn observe(&mut self, nodes: &[Arc<Node>], now: Instant) {
        let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
        for node in nodes {
            let (ready, silent) = counts.entry(zone(node)).or_default();
            *(if readiness(node) == Some("True") { ready } else { silent }) += 1;
        }
        self.zones.retain(|name, _| counts.contains_key(name));
        for (name, (ready, silent)) in counts {
            let size = ready + silent;
            #[expect(clippy::cast_precision_loss, reason = "a share of nodes needs no more")]
            let share = silent as f64 / size.max(1) as f64;
            let state = if ready == 0 && silent > 0 {
                State::Full
            } else if silent > 2 && share >= self.threshold {
                State::Partial
            } else {
                State::Normal
            };
            // A zone starts with one place: the first silent node need not wait.
            let zone = self.zones.entry(name).or_insert(Zone { state, size, tokens: 1.0, last: now });
            zone.state = state;
            zone.size = size;
        }
    }

    /// Whether all zones are silent, and so nothing is evicted at all.
    pub(super) fn is_halted(&self) -> bool {
        !self.zones.is_empty() && self.zones.values().all(|zone| zone.state == State::Full)
    }

    /// Takes a place for a node's eviction, where there is one.
    pub(super) fn take(&mut self, node: &Node, now: Instant) -> bool {
        if self.is_halted() {
            return false;
        }
        let Some(zone) = self.zones.get_mut(&zone(node)) else { return false };
        let rate = match zone.state {
            State::Normal | State::Full => self.rate,
            State::Partial if zone.size > self.large => self.secondary_rate,
            State::Partial => 0.0,
        };
        let elapsed = now.duration_since(zone.last).as_secs_f64();
        zone.tokens = (zone.tokens + elapsed * rate).min(1.0);
        zone.last = now;
        if rate <= 0.0 || zone.tokens < 1.0 {
            return false;
        }
        zone.tokens -= 1.0;
        true
    }
}

fn zone(node: &Node) -> String {
    let label = |key| node.meta().labels.get(key).map_or("", String::as_str);
    format!("{}/{}", label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"))
}

#[cfg(test)]
mod tests {
    use super::Limiter;
    use crate::Options;
    use clap::Parser;
    use gantry_api::Resource;
    use gantry_api::core::v1::{Node, NodeCondition};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::Instant;

    fn nodes(ready: usize, silent: usize) -> Vec<Arc<Node>> {
        let statuses = std::iter::repeat_n("True", ready).chain(std::iter::repeat_n("Unknown", silent));
        statuses
            .enumerate()
            .map(|(number, status)| {
                let mut node = Node::default();
                node.meta_mut().name = format!("n{number}");
                node.status.get_or_insert_default().conditions = vec![NodeCondition {
                    r#type: "Ready".into(),
                    status: status.into(),
                    ..Default::default()
                }];
                Arc::new(node)
            })
            .collect()
    }

    fn limiter() -> Limiter {
        Limiter::new(&Options::parse_from(["x", "--kubeconfig", "k"]))
    }

    #[test]
    fn the_first_goes_at_once_and_others_at_the_rate() {
        let (mut limiter, start) = (limiter(), Instant::now());
        let nodes = nodes(4, 2);
        limiter.observe(&nodes, start);
        assert!(limiter.take(&nodes[4], start));
        assert!(!limiter.take(&nodes[5], start + Duration::from_secs(9)));
        assert!(limiter.take(&nodes[5], start + Duration::from_secs(11)));
    }

    #[test]
    fn nothing_goes_where_most_or_all_are_silent() {
        let (mut limiter, start) = (limiter(), Instant::now());
        let most = nodes(2, 3);
        limiter.observe(&most, start);
        assert!(!limiter.take(&most[4], start));
        assert!(!limiter.is_halted());
        let all = nodes(0, 3);
        limiter.observe(&all, start);
        assert!(limiter.is_halted() && !limiter.take(&all[0], start));
    }
}
