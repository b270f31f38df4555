//! A node with pods that serve, and a proxier.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use gantry_pod_network::BuiltinNetwork;
use gantry_proxy::{
    Metrics, Outcome, Proxier,
    model::{Cluster, Endpoint, PortName, Protocol, ServicePort, Snapshot},
};

use crate::support::{Node, Pod, inside, isolated, run, wait};

pub(crate) const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 80);
pub(crate) const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 243, 0, 11);
pub(crate) const PORT: u16 = 80;
pub(crate) const NODE_PORT: u16 = 30080;
const TARGET_PORT: u16 = 8080;
const DEADLINE: Duration = Duration::from_secs(5);

/// One node, whose uplink ends in the test's own namespace at 10.243.0.1.
pub(crate) struct Bed {
    node: Node,
    network: BuiltinNetwork,
    proxier: Proxier,
    pub(crate) snapshot: Snapshot,
    pub(crate) outside: PathBuf,
}

pub(crate) fn on_a_node(test: impl FnOnce(Bed) + Send) {
    isolated(|dir| {
        let node = Node::new(dir, 1, "10.243.0.11/24");
        run("ip address add 10.243.0.1/24 dev node1");
        let outside = dir.join("outside");
        std::fs::write(&outside, "").unwrap();
        run(&format!("mount --bind /proc/thread-self/ns/net {}", outside.display()));
        let network = node.network();
        node.inside(|| Proxier::prepare().unwrap());
        test(Bed { node, network, proxier: new_proxier(), snapshot: Snapshot::default(), outside });
    });
}

fn new_proxier() -> Proxier {
    let cluster = Cluster { pod_range: Some("10.244.0.0/16".parse().unwrap()) };
    Proxier::new(cluster, Metrics::register(&prometheus::Registry::new()).unwrap())
}

pub(crate) fn name(protocol: Protocol) -> PortName {
    PortName { namespace: "default".to_owned(), service: "web".to_owned(), port: protocol.to_string() }
}

/// The service of all tests, with a cluster IP and a node port.
pub(crate) fn service(protocol: Protocol) -> ServicePort {
    ServicePort {
        protocol,
        port: PORT,
        cluster_ips: vec![CLUSTER_IP],
        external_ips: Vec::new(),
        node_port: Some(NODE_PORT),
        affinity: None,
        internal_local: false,
        external_local: false,
    }
}

pub(crate) fn endpoint(pod: &Pod) -> Endpoint {
    let IpAddr::V4(ip) = pod.address else { panic!("{} is no IPv4 address", pod.address) };
    Endpoint {
        address: SocketAddrV4::new(ip, TARGET_PORT),
        local: true,
        ready: true,
        serving: true,
        terminating: false,
    }
}

impl Bed {
    pub(crate) fn node(&self) -> &Path {
        &self.node.namespace
    }

    /// Starts a pod that answers each TCP line and each UDP packet with its name and who it saw.
    pub(crate) fn serve(&self, name: &str) -> Pod {
        let pod = self.node.pod(&self.network, name);
        let (tcp, udp) = inside(&pod.namespace, || {
            let at = (Ipv4Addr::UNSPECIFIED, TARGET_PORT);
            (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap())
        });
        let (tcp_name, udp_name) = (name.to_owned(), name.to_owned());
        // Both end with the test's process.
        thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                let name = tcp_name.clone();
                thread::spawn(move || answer(stream, &name));
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, client)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(format!("{udp_name} {}\n", client.ip()).as_bytes(), client);
            }
        });
        pod
    }

    /// A pod that only asks.
    pub(crate) fn client(&self) -> Pod {
        self.node.pod(&self.network, "client")
    }

    /// Makes these pods the ready endpoints of the service.
    pub(crate) fn endpoints(&mut self, protocol: Protocol, pods: &[&Pod]) {
        self.snapshot.endpoints.insert(name(protocol), pods.iter().map(|pod| endpoint(pod)).collect());
    }

    pub(crate) fn sync(&mut self) -> Outcome {
        let (node, proxier, snapshot) = (&self.node, &mut self.proxier, &self.snapshot);
        node.inside(|| wait(proxier.sync(snapshot)).unwrap())
    }

    /// As after kill -9: a new proxier that knows nothing.
    pub(crate) fn restart_proxy(&mut self) {
        self.proxier = new_proxier();
    }

    pub(crate) fn cleanup(&self) {
        self.node.inside(|| wait(Proxier::cleanup()).unwrap());
    }
}

fn answer(mut stream: TcpStream, name: &str) {
    let Ok(peer) = stream.peer_addr() else { return };
    let mut buffer = [0; 64];
    while let Ok(1..) = stream.read(&mut buffer) {
        if stream.write_all(format!("{name} {}\n", peer.ip()).as_bytes()).is_err() {
            return;
        }
    }
}

/// An open connection.
pub(crate) struct Connection(TcpStream);

/// What an endpoint said: its name, and the client's address as it saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) name: String,
    pub(crate) client: String,
}

impl Answer {
    fn parse(line: &str) -> Self {
        let (name, client) = line.trim().split_once(' ').unwrap();
        Self { name: name.to_owned(), client: client.to_owned() }
    }
}

impl Connection {
    pub(crate) fn open(from: &Path, to: Ipv4Addr, port: u16) -> std::io::Result<Self> {
        inside(from, || {
            let stream = TcpStream::connect_timeout(&(to, port).into(), DEADLINE)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            Ok(Self(stream))
        })
    }

    pub(crate) fn ask(&mut self) -> std::io::Result<Answer> {
        self.0.write_all(b"who\n")?;
        let mut buffer = [0; 128];
        let length = self.0.read(&mut buffer)?;
        Ok(Answer::parse(std::str::from_utf8(&buffer[..length]).unwrap()))
    }
}

/// One question on a new connection.
pub(crate) fn ask(from: &Path, to: Ipv4Addr, port: u16) -> std::io::Result<Answer> {
    Connection::open(from, to, port)?.ask()
}

/// How often each endpoint answered `count` new connections.
pub(crate) fn tally(from: &Path, to: Ipv4Addr, port: u16, count: usize) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..count {
        *tally.entry(ask(from, to, port).unwrap().name).or_default() += 1;
    }
    tally
}

/// A UDP client that keeps its port.
pub(crate) struct Datagrams(UdpSocket);

impl Datagrams {
    pub(crate) fn open(from: &Path, to: Ipv4Addr, port: u16) -> Self {
        let socket = inside(from, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
        socket.connect((to, port)).unwrap();
        Self(socket)
    }

    /// Sends a packet and waits up to `patience` for the answer.
    pub(crate) fn ask(&self, patience: Duration) -> Option<Answer> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        self.0.send(b"who\n").ok()?;
        let mut buffer = [0; 128];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(Answer::parse(std::str::from_utf8(&buffer[..length]).unwrap()))
    }
}

/// Waits for an answer that must come.
pub(crate) fn answered(client: &Datagrams) -> Answer {
    let (sender, receiver) = mpsc::channel();
    sender.send(client.ask(DEADLINE)).unwrap();
    receiver.recv().unwrap().expect("no answer to a UDP packet")
}
