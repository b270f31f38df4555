//! Pods that talk: on one node, across nodes directly and through the tunnel, and to the outside.

use std::{collections::BTreeSet, path::Path};

use gantry_pod_network::{NodeRoute, PodNetwork as _};

use crate::support::{Node, exchange, inside, isolated, run, start_pod, wait};

/// Two nodes on one bridge.
fn on_one_link(dir: &Path) -> [Node; 2] {
    run("ip link add fabric type bridge");
    run("ip link set fabric up");
    let nodes = [Node::new(dir, 1, "10.243.0.11/24"), Node::new(dir, 2, "10.243.0.12/24")];
    run("ip link set node1 master fabric");
    run("ip link set node2 master fabric");
    nodes
}

/// Two nodes with a router between them, which knows nothing of pods.
fn behind_a_router(dir: &Path) -> [Node; 2] {
    let nodes = [Node::new(dir, 1, "192.168.1.2/24"), Node::new(dir, 2, "192.168.2.2/24")];
    for (number, node) in (1..).zip(&nodes) {
        run(&format!("ip address add 192.168.{number}.1/24 dev node{number}"));
        node.inside(|| run(&format!("ip route add default via 192.168.{number}.1")));
    }
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    nodes
}

fn route_to(node: &Node) -> NodeRoute {
    NodeRoute { pod_cidr: node.config.pod_cidr, node_ip: node.config.node_ip }
}

/// Starts pods on both nodes, lets each talk to each, and returns the second node's view of routes.
fn pods_reach_each_other(nodes: &[Node; 2]) {
    let routes: Vec<_> = nodes.iter().map(route_to).collect();
    let networks: Vec<_> = nodes.iter().map(Node::network).collect();
    let mut pods = Vec::new();
    for (node, network) in nodes.iter().zip(&networks) {
        node.inside(|| wait(network.sync_routes(&routes)).unwrap());
        pods.push(node.pod(network, "a"));
        pods.push(node.pod(network, "b"));
    }
    for client in &pods {
        for server in &pods {
            // Never masqueraded: the server sees the client's own address.
            assert_eq!(client.talk_to(server), client.address);
        }
    }
    // The node itself, too, reaches pods on both nodes.
    for server in &pods {
        exchange(&nodes[0].namespace, &server.namespace, server.address);
    }
    // The same once more changes nothing.
    let before = nodes[0].inside(|| run("ip route"));
    nodes[0].inside(|| wait(networks[0].sync_routes(&routes)).unwrap());
    assert_eq!(nodes[0].inside(|| run("ip route")), before);

    // Without the other node nothing leads there, and nothing leaks.
    nodes[0].inside(|| {
        wait(networks[0].sync_routes(&routes[..1])).unwrap();
        let routes = run("ip route");
        assert!(!routes.contains("10.244.2.0/24"), "{routes}");
        assert!(routes.contains("blackhole 10.244.0.0/16"), "{routes}");
        assert!(!run("ip link").contains("gantry-vxlan"));
    });
}

#[test]
fn pods_reach_each_other_over_a_common_link() {
    isolated(|dir| {
        let nodes = on_one_link(dir);
        pods_reach_each_other(&nodes);
    });
}

#[test]
fn pods_reach_each_other_through_the_tunnel() {
    isolated(|dir| {
        let nodes = behind_a_router(dir);
        pods_reach_each_other(&nodes);
    });
}

#[test]
fn routes_follow_a_node_that_moves() {
    isolated(|dir| {
        let nodes = on_one_link(dir);
        let network = nodes[0].network();
        nodes[0].inside(|| {
            let mut route = route_to(&nodes[1]);
            wait(network.sync_routes(&[route])).unwrap();
            assert!(run("ip route").contains("10.244.2.0/24 via 10.243.0.12 dev uplink"));
            route.node_ip = "192.168.9.9".parse().unwrap();
            wait(network.sync_routes(&[route])).unwrap();
            assert!(run("ip route").contains("10.244.2.0/24 via 10.244.2.0 dev gantry-vxlan"));
            assert!(run("bridge fdb show dev gantry-vxlan").contains("dst 192.168.9.9"));
            route.node_ip = "10.243.0.12".parse().unwrap();
            wait(network.sync_routes(&[route])).unwrap();
            assert!(run("ip route").contains("10.244.2.0/24 via 10.243.0.12 dev uplink"));
            assert!(!run("ip link").contains("gantry-vxlan"));
        });
    });
}

#[test]
fn traffic_that_leaves_the_cluster_bears_the_nodes_address() {
    isolated(|dir| {
        let node = Node::new(dir, 1, "10.243.0.11/24");
        run("ip address add 10.243.0.1/24 dev node1");
        let network = node.network();
        let pod = node.pod(&network, "a");
        let outside = Path::new("/proc/thread-self/ns/net").to_owned();
        // The link's other side is this thread's own namespace.
        let pinned = dir.join("outside");
        std::fs::write(&pinned, "").unwrap();
        run(&format!("mount --bind {} {}", outside.display(), pinned.display()));
        let seen = exchange(&pod.namespace, &pinned, "10.243.0.1".parse().unwrap());
        assert_eq!(seen, node.config.node_ip);
    });
}

#[test]
fn setup_and_teardown_are_idempotent_and_leave_nothing() {
    isolated(|dir| {
        let node = Node::new(dir, 1, "10.243.0.11/24");
        let clean = node.inside(|| run("ip -brief link"));
        let network = node.network();
        let one = node.pod(&network, "a");
        let two = node.pod(&network, "b");
        let again = node.pod(&network, "a");
        assert_eq!(again.address, one.address);
        assert_eq!(one.talk_to(&two), one.address);

        // A kubelet killed and started again: same addresses, and pods go on talking.
        drop(network);
        let network = node.network();
        assert_eq!(wait(network.addresses(&one.reference)).unwrap().primary(), Some(one.address));
        assert_eq!(node.pod(&network, "a").address, one.address);
        assert_eq!(one.talk_to(&two), one.address);

        // A half-made connection is repaired.
        inside(&one.namespace, || run("ip link delete eth0"));
        assert_eq!(node.pod(&network, "a").address, one.address);
        assert_eq!(one.talk_to(&two), one.address);

        // Whoever is not alive any more loses address and interface.
        node.inside(|| wait(network.retain(&BTreeSet::from([one.reference.uid.clone()]))).unwrap());
        assert!(wait(network.addresses(&two.reference)).is_none());
        assert!(!inside(&two.namespace, || run("ip -brief link")).contains("eth0"));

        node.inside(|| {
            wait(network.teardown(&one.reference, Some(&one.namespace))).unwrap();
            // Cut off at once, before its namespace has ended.
            assert!(run("ip -brief link show type veth").lines().any(|link| link.contains("DOWN")));
            wait(network.teardown(&one.reference, None)).unwrap();
            assert_eq!(std::fs::read_dir(&node.config.state_dir).unwrap().count(), 0);
            wait(network.remove()).unwrap();
            assert_eq!(names(&run("ip -brief link")), names(&clean));
            assert!(!run("ip route").contains("10.244"));
            assert_eq!(run("nft list tables"), "");
        });
    });
}

fn names(links: &str) -> Vec<&str> {
    links.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn many_pods_start_side_by_side() {
    isolated(|dir| {
        let node = Node::new(dir, 1, "10.243.0.11/24");
        let network = node.network();
        let sandboxes = node.sandboxes.clone();
        let started = std::time::Instant::now();
        let pods = node.inside(|| {
            wait(async {
                let starts = (0..24).map(|number| {
                    let (network, sandboxes) = (network.clone(), sandboxes.clone());
                    tokio::spawn(
                        async move { start_pod(&sandboxes, &network, &format!("pod-{number}")).await },
                    )
                });
                let mut pods = Vec::new();
                for start in starts.collect::<Vec<_>>() {
                    pods.push(start.await.unwrap());
                }
                pods
            })
        });
        println!("24 pods: {:?}", started.elapsed());
        let addresses: BTreeSet<_> = pods.iter().map(|pod| pod.address).collect();
        assert_eq!(addresses.len(), 24);
        for (client, server) in pods.iter().zip(pods.iter().skip(1)) {
            assert_eq!(client.talk_to(server), client.address);
        }
        let started = std::time::Instant::now();
        node.inside(|| {
            wait(async {
                for pod in &pods {
                    network.teardown(&pod.reference, Some(&pod.namespace)).await.unwrap();
                    sandboxes.destroy(&pod.reference.uid).await.unwrap();
                }
            });
        });
        println!("24 pods removed one after the other: {:?}", started.elapsed());
        let one = std::time::Instant::now();
        node.pod(&network, "alone");
        println!("one pod: {:?}", one.elapsed());
    });
}
