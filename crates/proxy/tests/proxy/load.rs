//! Changes under load: no connection may fail, whatever changes meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use gantry_proxy::{Outcome, model::Protocol::Tcp};

use crate::{
    bed::{CLUSTER_IP, NODE_IP, NODE_PORT, PORT, ask, name, on_a_node, service},
    support::{inside, run},
};

#[test]
fn no_connection_fails_while_endpoints_and_the_proxy_come_and_go() {
    on_a_node(|mut bed| {
        let pods = ["a", "b", "c"].map(|name| bed.serve(name));
        let client = bed.client();
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.endpoints(Tcp, &[&pods[0]]);
        bed.sync();
        let done = AtomicBool::new(false);
        let (outside, namespace) = (bed.outside.clone(), &client.namespace);
        let asked = thread::scope(|scope| {
            let load =
                [(namespace, CLUSTER_IP, PORT), (&outside, NODE_IP, NODE_PORT)].map(|(from, to, port)| {
                    let done = &done;
                    scope.spawn(move || {
                        let mut asked = 0_usize;
                        while !done.load(Ordering::Relaxed) {
                            ask(from, to, port).unwrap();
                            asked += 1;
                        }
                        asked
                    })
                });
            for round in 0..20 {
                let chosen: Vec<_> = pods.iter().skip(round % 3).take(1 + round % 2).collect();
                bed.endpoints(Tcp, &chosen);
                if round % 5 == 4 {
                    bed.restart_proxy();
                }
                bed.sync();
            }
            done.store(true, Ordering::Relaxed);
            load.map(|load| load.join().unwrap())
        });
        println!("connections without failure: {asked:?}");
    });
}

#[test]
fn pods_reach_each_other_through_services_without_bridge_netfilter() {
    on_a_node(|mut bed| {
        let (pod, client) = (bed.serve("a"), bed.client());
        bed.snapshot.services.insert(name(Tcp), service(Tcp));
        bed.endpoints(Tcp, &[&pod]);
        assert_eq!(bed.sync(), Outcome::Replaced);
        inside(bed.node(), || {
            let switch = std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
            if switch.exists() {
                run("sysctl -w net.bridge.bridge-nf-call-iptables=0");
            }
        });
        assert_eq!(ask(&client.namespace, CLUSTER_IP, PORT).unwrap().client, client.address.to_string());
        assert_eq!(ask(&pod.namespace, CLUSTER_IP, PORT).unwrap().name, "a");
    });
}
