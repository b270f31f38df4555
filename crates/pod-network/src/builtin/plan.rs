//! Which way leads to another node's pods, and what has to change for it. Pure.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;

use crate::NodeRoute;

/// The way to a node's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The node is on a link of ours: it is the next hop.
    Direct(Ipv4Addr),
    /// Routers lie between that know nothing of pods: packets travel inside VXLAN to this node.
    Tunnel(Ipv4Addr),
}

/// The routes of a node: other nodes' pod ranges and the way there.
pub(super) type Table = BTreeMap<Ipv4Net, Way>;

/// One step from the present table to the wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Add the route, or replace the one to the same range.
    Set(Ipv4Net, Way),
    /// Remove the route.
    Remove(Ipv4Net, Way),
}

/// Decides the way to each node. `links` are the networks that this node is directly on.
pub(super) fn decide(links: &[Ipv4Net], own: Ipv4Net, routes: &[NodeRoute]) -> Table {
    let others = routes.iter().filter(|route| route.pod_cidr != own);
    let way = |node: Ipv4Addr| {
        if links.iter().any(|link| link.contains(&node)) { Way::Direct(node) } else { Way::Tunnel(node) }
    };
    others.map(|route| (route.pod_cidr.trunc(), way(route.node_ip))).collect()
}

/// The steps from `present` to `wanted`, removals last: a range that moved is never without a route.
pub(super) fn steps(present: &Table, wanted: &Table) -> Vec<Step> {
    let set = wanted
        .iter()
        .filter(|(range, way)| present.get(*range) != Some(*way))
        .map(|(range, way)| Step::Set(*range, *way));
    let remove = present
        .iter()
        .filter(|(range, _)| !wanted.contains_key(*range))
        .map(|(range, way)| Step::Remove(*range, *way));
    set.chain(remove).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    fn route(pod_cidr: &str, node_ip: &str) -> NodeRoute {
        NodeRoute { pod_cidr: net(pod_cidr), node_ip: ip(node_ip) }
    }

    #[test]
    fn nodes_on_a_common_link_are_next_hops_and_others_are_tunnelled_to() {
        let routes = [
            route("10.244.0.0/24", "10.243.0.11"),
            route("10.244.1.0/24", "10.243.0.12"),
            route("10.244.2.0/24", "192.168.7.5"),
        ];
        let table = decide(&[net("10.243.0.11/24")], net("10.244.0.0/24"), &routes);
        assert_eq!(
            table,
            Table::from([
                (net("10.244.1.0/24"), Way::Direct(ip("10.243.0.12"))),
                (net("10.244.2.0/24"), Way::Tunnel(ip("192.168.7.5"))),
            ])
        );
    }

    #[test]
    fn only_differences_become_steps() {
        let (a, b, c) = (net("10.244.1.0/24"), net("10.244.2.0/24"), net("10.244.3.0/24"));
        let (near, far) = (Way::Direct(ip("10.0.0.2")), Way::Tunnel(ip("10.9.0.3")));
        let present = Table::from([(a, near), (b, near)]);
        assert!(steps(&present, &present).is_empty());
        let wanted = Table::from([(a, near), (c, far)]);
        assert_eq!(steps(&present, &wanted), [Step::Set(c, far), Step::Remove(b, near)]);
        let moved = Table::from([(a, far), (b, near)]);
        assert_eq!(steps(&present, &moved), [Step::Set(a, far)]);
    }
}
