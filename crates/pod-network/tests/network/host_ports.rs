//! Ports of the node that lead to pods.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use gantry_pod_network::{HostPort, HostPorts, Protocol};

use crate::support::{Node, Pod, inside, isolated, run, wait};

const DEADLINE: Duration = Duration::from_secs(10);

/// Answers on port 80 of the pod with the client's address, `count` times.
fn serve(pod: &Pod, count: usize) -> thread::JoinHandle<()> {
    let listener = inside(&pod.namespace, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).unwrap());
    thread::spawn(move || {
        for _ in 0..count {
            let (mut stream, peer) = listener.accept().unwrap();
            stream.write_all(peer.ip().to_string().as_bytes()).unwrap();
        }
    })
}

/// Who the pod behind this port says that the caller is, seen from `client`.
fn ask(client: &Path, ip: Ipv4Addr, port: u16) -> String {
    inside(client, || {
        let address = SocketAddr::new(IpAddr::V4(ip), port);
        let mut stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    })
}

#[test]
fn ports_of_the_node_lead_to_pods() {
    isolated(|dir| {
        let node = Node::new(dir, 1, "10.243.0.11/24");
        run("ip address add 10.243.0.1/24 dev node1");
        let network = node.network();
        let (server, other) = (node.pod(&network, "server"), node.pod(&network, "other"));
        let IpAddr::V4(address) = server.address else { panic!("pods have IPv4 addresses") };
        let port = |host_ip: Option<&str>, host_port| HostPort {
            protocol: Protocol::Tcp,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_port,
            pod_port: 80,
        };
        let ports = vec![port(None, 8080), port(Some("127.0.0.1"), 9090)];
        let state = dir.join("host-ports");
        let table = HostPorts::open(&state).unwrap();
        node.inside(|| wait(table.claim(&server.reference.uid, address, ports)).unwrap());
        let served = serve(&server, 5);

        // From outside, from another pod, from the pod itself, and from the node: at its address and at loopback.
        let outside = dir.join("outside");
        File::create(&outside).unwrap();
        run(&format!("mount --bind /proc/thread-self/ns/net {}", outside.display()));
        let ip = node.config.node_ip;
        assert_eq!(ask(&outside, ip, 8080), "10.243.0.1");
        assert_eq!(ask(&other.namespace, ip, 8080), other.address.to_string());
        ask(&server.namespace, ip, 8080);
        ask(&node.namespace, ip, 8080);
        ask(&node.namespace, Ipv4Addr::LOCALHOST, 9090);
        served.join().unwrap();

        // A successor keeps what belongs to pods that live, and gives back the rest.
        let successor = HostPorts::open(&state).unwrap();
        let live = BTreeSet::from([server.reference.uid.clone()]);
        let listed = || node.inside(|| run("nft list tables"));
        node.inside(|| wait(successor.retain(&live)).unwrap());
        assert!(listed().contains("gantry-host-ports"));
        node.inside(|| {
            wait(successor.release("nobody")).unwrap();
            wait(successor.release(&server.reference.uid)).unwrap();
        });
        assert!(!listed().contains("gantry-host-ports"), "without ports there is no table");
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
    });
}
