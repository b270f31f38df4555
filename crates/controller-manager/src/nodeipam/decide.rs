//! Which range a node gets.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::Node;
use ipnet::Ipv4Net;

/// What there is.
#[derive(Debug)]
pub struct Snapshot {
    /// The cluster's range.
    pub range: Ipv4Net,
    /// The prefix length of a node's range.
    pub prefix: u8,
    /// All nodes.
    pub nodes: Vec<Arc<Node>>,
}

/// What to do about a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It has a range.
    Keep,
    /// It gets this range.
    Assign(Ipv4Net),
    /// There is none left.
    Exhausted,
    /// Somebody gave it the range of another node; nothing is changed about that, because both may have pods.
    Doubled(Arc<Node>),
}

/// Which range a node gets: the lowest that is free.
#[must_use]
pub fn reconcile(snapshot: &Snapshot, node: &Node) -> Decision {
    if node.meta().deletion_timestamp.is_some() {
        return Decision::Keep;
    }
    let own: Vec<&str> = ranges(node).collect();
    let others = || snapshot.nodes.iter().filter(|other| other.name() != node.name());
    if !own.is_empty() {
        let doubled = others().find(|other| ranges(other).any(|range| own.contains(&range)));
        return doubled.map_or(Decision::Keep, |other| Decision::Doubled(other.clone()));
    }
    let taken: Vec<Ipv4Net> =
        others().flat_map(|other| ranges(other)).filter_map(|range| range.parse().ok()).collect();
    let exact: HashSet<Ipv4Net> = taken.iter().copied().collect();
    // Ranges of another size, from another configuration, may overlap without being equal.
    let odd: Vec<Ipv4Net> = taken.into_iter().filter(|range| range.prefix_len() != snapshot.prefix).collect();
    candidates(snapshot.range, snapshot.prefix)
        .find(|candidate| {
            !exact.contains(candidate)
                && !odd.iter().any(|range| range.contains(candidate) || candidate.contains(range))
        })
        .map_or(Decision::Exhausted, Decision::Assign)
}

fn ranges(node: &Node) -> impl Iterator<Item = &str> {
    node.spec.iter().flat_map(|spec| {
        let single = (!spec.pod_cidr.is_empty()).then_some(spec.pod_cidr.as_str());
        spec.pod_cidrs.iter().map(String::as_str).chain(single)
    })
}

fn candidates(range: Ipv4Net, prefix: u8) -> impl Iterator<Item = Ipv4Net> {
    let count = if prefix < range.prefix_len() { 0 } else { 1u64 << (prefix - range.prefix_len()) };
    let (base, step) = (u64::from(u32::from(range.network())), 1u64 << (32 - prefix.min(32)));
    (0..count).filter_map(move |index| {
        let address = u32::try_from(base + index * step).ok()?;
        Ipv4Net::new(Ipv4Addr::from(address), prefix).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::{Decision, Snapshot, reconcile};
    use gantry_api::Resource;
    use gantry_api::core::v1::Node;
    use std::sync::Arc;

    fn node(name: &str, range: &str) -> Arc<Node> {
        let mut node = Node::default();
        node.meta_mut().name = name.into();
        if !range.is_empty() {
            node.spec.get_or_insert_default().pod_cidr = range.into();
        }
        Arc::new(node)
    }

    fn decide(range: &str, nodes: &[Arc<Node>], name: &str) -> Decision {
        let snapshot = Snapshot { range: range.parse().unwrap(), prefix: 24, nodes: nodes.to_vec() };
        reconcile(&snapshot, nodes.iter().find(|node| node.name() == name).unwrap())
    }

    #[test]
    fn the_lowest_free_range_is_taken() {
        let nodes = [node("a", "10.244.0.0/24"), node("b", "10.244.2.0/24"), node("c", "")];
        assert_eq!(decide("10.244.0.0/16", &nodes, "c"), Decision::Assign("10.244.1.0/24".parse().unwrap()));
        assert_eq!(decide("10.244.0.0/16", &nodes, "a"), Decision::Keep);
    }

    #[test]
    fn ranges_of_another_size_are_not_cut() {
        let nodes = [node("a", "10.244.0.0/23"), node("b", "10.244.2.128/25"), node("c", "")];
        assert_eq!(decide("10.244.0.0/16", &nodes, "c"), Decision::Assign("10.244.3.0/24".parse().unwrap()));
    }

    #[test]
    fn an_exhausted_range_and_a_doubled_one_are_told() {
        let nodes = [node("a", "10.244.0.0/24"), node("b", "")];
        assert_eq!(decide("10.244.0.0/24", &nodes, "b"), Decision::Exhausted);
        let nodes = [node("a", "10.244.0.0/24"), node("b", "10.244.0.0/24")];
        assert_eq!(decide("10.244.0.0/16", &nodes, "b"), Decision::Doubled(nodes[0].clone()));
    }
}
