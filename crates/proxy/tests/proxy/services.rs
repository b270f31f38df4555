//! TCP services: balance, clients everywhere, changes under open connections.

use std::{io::ErrorKind, net::Ipv4Addr};

use gantry_proxy::{Outcome, model::Protocol::Tcp};

use crate::{
    bed::{CLUSTER_IP, Connection, NODE_IP, NODE_PORT, PORT, ask, name, on_a_node, service, tally},
    support::run,
};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn every_client_reaches_every_endpoint_evenly() {
    on_a_node(|mut bed| {
        let pods = ["a", "b", "c"].map(|name| bed.serve(name));
        let client = bed.client();
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.endpoints(Tcp, &[&pods[0], &pods[1], &pods[2]]);
        assert_eq!(bed.sync(), Outcome::Replaced);
        assert_eq!(bed.sync(), Outcome::Unchanged);

        let ways = [
            ("pod to cluster IP", client.namespace.as_path(), CLUSTER_IP, PORT),
            ("node to cluster IP", bed.node(), CLUSTER_IP, PORT),
            ("outside to node port", bed.outside.as_path(), NODE_IP, NODE_PORT),
            ("pod to node port", client.namespace.as_path(), NODE_IP, NODE_PORT),
            ("node to its own node port", bed.node(), NODE_IP, NODE_PORT),
            ("node to loopback node port", bed.node(), LOOPBACK, NODE_PORT),
        ];
        for (way, from, to, port) in ways {
            let tally = tally(from, to, port, 300);
            println!("{way}: {tally:?}");
            assert_eq!(tally.len(), 3, "{way}: {tally:?}");
            assert!(tally.values().all(|count| (60..=140).contains(count)), "{way}: {tally:?}");
        }
        // Inside the cluster the client's own address arrives.
        let seen = ask(&client.namespace, CLUSTER_IP, PORT).unwrap().client;
        assert_eq!(seen, client.address.to_string());
    });
}

#[test]
fn a_service_without_endpoints_refuses_at_once() {
    on_a_node(|mut bed| {
        let pod = bed.serve("a");
        let client = bed.client();
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.sync();
        let refused = |bed: &crate::bed::Bed| {
            for (from, to, port) in [
                (client.namespace.as_path(), CLUSTER_IP, PORT),
                (bed.node(), CLUSTER_IP, PORT),
                (bed.outside.as_path(), NODE_IP, NODE_PORT),
                // A port that the service does not have.
                (client.namespace.as_path(), CLUSTER_IP, 81),
            ] {
                let error = ask(from, to, port).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{to}:{port}: {error}");
            }
        };
        refused(&bed);
        bed.endpoints(Tcp, &[&pod]);
        assert_eq!(bed.sync(), Outcome::Changed);
        assert_eq!(ask(&client.namespace, CLUSTER_IP, PORT).unwrap().name, "a");
        bed.endpoints(Tcp, &[]);
        bed.sync();
        refused(&bed);
        // The service goes altogether.
        bed.snapshot.services.clear();
        bed.sync();
        assert!(ask(&bed.outside, NODE_IP, NODE_PORT).is_err());
    });
}

#[test]
fn open_connections_outlive_changes_and_restarts() {
    on_a_node(|mut bed| {
        let (one, two) = (bed.serve("a"), bed.serve("b"));
        let client = bed.client();
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.endpoints(Tcp, &[&one]);
        bed.sync();
        let mut open = Connection::open(&client.namespace, CLUSTER_IP, PORT).unwrap();
        let mut open_outside = Connection::open(&bed.outside, NODE_IP, NODE_PORT).unwrap();
        assert_eq!(open.ask().unwrap().name, "a");
        assert_eq!(open_outside.ask().unwrap().name, "a");

        bed.endpoints(Tcp, &[&two]);
        bed.sync();
        assert_eq!(tally(&client.namespace, CLUSTER_IP, PORT, 20).into_keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(open.ask().unwrap().name, "a");

        // Killed: rules stay. Started again: replaced, never gone.
        bed.restart_proxy();
        assert_eq!(ask(&client.namespace, CLUSTER_IP, PORT).unwrap().name, "b");
        assert_eq!(bed.sync(), Outcome::Replaced);
        assert_eq!(ask(&client.namespace, CLUSTER_IP, PORT).unwrap().name, "b");
        assert_eq!(open.ask().unwrap().name, "a");
        assert_eq!(open_outside.ask().unwrap().name, "a");
    });
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    on_a_node(|mut bed| {
        let pod = bed.serve("a");
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.endpoints(Tcp, &[&pod]);
        bed.sync();
        let answer = ask(&pod.namespace, CLUSTER_IP, PORT).unwrap();
        assert_eq!(answer.name, "a");
        assert_ne!(answer.client, pod.address.to_string());
        assert_eq!(ask(&pod.namespace, NODE_IP, NODE_PORT).unwrap().name, "a");
    });
}

#[test]
fn terminating_endpoints_serve_only_when_no_other_does() {
    on_a_node(|mut bed| {
        let pods = ["a", "b"].map(|name| bed.serve(name));
        let client = bed.client();
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.endpoints(Tcp, &[&pods[0], &pods[1]]);
        let endpoints = bed.snapshot.endpoints.get_mut(&name(Tcp)).unwrap();
        (endpoints[0].ready, endpoints[0].terminating) = (false, true);
        bed.sync();
        assert_eq!(tally(&client.namespace, CLUSTER_IP, PORT, 20).into_keys().collect::<Vec<_>>(), ["b"]);
        let endpoints = bed.snapshot.endpoints.get_mut(&name(Tcp)).unwrap();
        (endpoints[1].ready, endpoints[1].serving) = (false, false);
        bed.sync();
        assert_eq!(tally(&client.namespace, CLUSTER_IP, PORT, 20).into_keys().collect::<Vec<_>>(), ["a"]);
    });
}

#[test]
fn clients_keep_their_endpoint_with_session_affinity() {
    on_a_node(|mut bed| {
        let pods = ["a", "b", "c"].map(|name| bed.serve(name));
        let client = bed.client();
        let mut sticky = service(Tcp);
        sticky.affinity = Some(3_600);
        bed.snapshot.services.insert(name(Tcp), sticky);
        bed.endpoints(Tcp, &[&pods[0], &pods[1], &pods[2]]);
        bed.sync();
        let first: Vec<_> = tally(&client.namespace, CLUSTER_IP, PORT, 30).into_keys().collect();
        assert_eq!(first.len(), 1);
        let chosen = pods.iter().zip(["a", "b", "c"]).find(|(_, name)| *name == first[0]).unwrap().0;

        // Other endpoints go: nothing changes for this client.
        bed.endpoints(Tcp, &[chosen]);
        bed.sync();
        bed.endpoints(Tcp, &[&pods[0], &pods[1], &pods[2]]);
        assert_eq!(bed.sync(), Outcome::Changed);
        let again: Vec<_> = tally(&client.namespace, CLUSTER_IP, PORT, 30).into_keys().collect();
        assert_eq!(again, first);

        // Its own endpoint goes: it gets another one, and keeps that.
        let rest: Vec<_> = pods.iter().filter(|pod| pod.address != chosen.address).collect();
        bed.endpoints(Tcp, &rest);
        bed.sync();
        let moved: Vec<_> = tally(&client.namespace, CLUSTER_IP, PORT, 30).into_keys().collect();
        assert_eq!(moved.len(), 1);
        assert_ne!(moved, first);

        // Without affinity again: all endpoints, and no chain left over.
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.sync();
        assert_eq!(tally(&client.namespace, CLUSTER_IP, PORT, 60).len(), 2);
        let rules = crate::support::inside(bed.node(), || run("nft list table ip gantry-proxy"));
        assert!(!rules.contains("sticky-") && !rules.contains("clients-"), "{rules}");
    });
}

#[test]
fn local_policies_keep_to_this_node() {
    on_a_node(|mut bed| {
        let pods = ["here", "elsewhere"].map(|name| bed.serve(name));
        let client = bed.client();
        let mut local = service(Tcp);
        (local.internal_local, local.external_local) = (true, true);
        bed.snapshot.services.insert(name(Tcp), local);
        bed.endpoints(Tcp, &[&pods[0], &pods[1]]);
        bed.snapshot.endpoints.get_mut(&name(Tcp)).unwrap()[1].local = false;
        bed.sync();
        assert_eq!(tally(&client.namespace, CLUSTER_IP, PORT, 20).into_keys().collect::<Vec<_>>(), ["here"]);
        let answer = ask(&bed.outside, NODE_IP, NODE_PORT).unwrap();
        // The client's address is kept.
        assert_eq!((answer.name.as_str(), answer.client.as_str()), ("here", "10.243.0.1"));
        // Who is inside of the cluster has no use for that and reaches every endpoint.
        let node = bed.node().to_owned();
        let inside = [(&client.namespace, NODE_IP), (&node, NODE_IP), (&node, LOOPBACK)];
        for (from, to) in inside {
            assert_eq!(tally(from, to, NODE_PORT, 60).len(), 2, "{to}");
        }
        bed.snapshot.endpoints.get_mut(&name(Tcp)).unwrap()[0].local = false;
        bed.sync();
        for (from, to) in inside {
            assert_eq!(tally(from, to, NODE_PORT, 60).len(), 2, "{to}");
        }
    });
}

#[test]
fn cleanup_leaves_nothing() {
    on_a_node(|mut bed| {
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.sync();
        bed.cleanup();
        bed.cleanup();
        let tables = crate::support::inside(bed.node(), || run("nft list tables"));
        assert!(!tables.contains("gantry-proxy"), "{tables}");
        // An error, as after somebody else removed the table, is repaired by the next full replacement.
        bed.restart_proxy();
        assert_eq!(bed.sync(), Outcome::Replaced);
    });
}
