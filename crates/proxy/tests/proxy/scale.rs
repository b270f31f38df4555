//! How long changes take with many services. Printed, not judged.

use std::{net::Ipv4Addr, time::Instant};

use gantry_proxy::{
    Outcome,
    model::{Endpoint, PortName, Protocol::Tcp},
};

use crate::bed::{on_a_node, service};

#[test]
fn one_change_among_a_thousand_services() {
    const SERVICES: u32 = 1_000;
    on_a_node(|mut bed| {
        for number in 0..SERVICES {
            let name = PortName {
                namespace: "default".to_owned(),
                service: format!("service-{number}"),
                port: String::new(),
            };
            let mut one = service(Tcp);
            one.cluster_ips = vec![Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 97, 0, 1)) + number)];
            one.node_port = None;
            let endpoints = (0..3).map(|endpoint| Endpoint {
                address: std::net::SocketAddrV4::new(
                    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 244, 2, 0)) + number * 3 + endpoint),
                    8080,
                ),
                local: false,
                ready: true,
                serving: true,
                terminating: false,
            });
            bed.snapshot.endpoints.insert(name.clone(), endpoints.collect());
            bed.snapshot.services.insert(name, one);
        }
        let started = Instant::now();
        assert_eq!(bed.sync(), Outcome::Replaced);
        println!("{SERVICES} services of 3 endpoints, all: {:?}", started.elapsed());
        for round in 0..5 {
            let name = bed.snapshot.endpoints.keys().nth(round * 100).unwrap().clone();
            bed.snapshot.endpoints.get_mut(&name).unwrap().pop();
            let started = Instant::now();
            assert_eq!(bed.sync(), Outcome::Changed);
            println!("one endpoint of {name} removed: {:?}", started.elapsed());
        }
        let started = Instant::now();
        assert_eq!(bed.sync(), Outcome::Unchanged);
        println!("nothing changed: {:?}", started.elapsed());
    });
}
