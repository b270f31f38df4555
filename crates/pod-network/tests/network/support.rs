//! Private namespaces for a test, nodes inside of them, and pods on the nodes.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use gantry_pod_network::{BuiltinNetwork, Config, PodNetwork as _, PodRef, SandboxSpec, Sandboxes};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
};

const DEADLINE: Duration = Duration::from_secs(5);

/// Runs a test on a thread in network and mount namespaces of its own, inherited by every thread and process
/// that it starts. They vanish with it, whatever happens.
pub(crate) fn isolated(test: impl FnOnce(&Path) + Send) {
    let dir = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        let result = scope
            .spawn(|| {
                unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
                mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
                run("ip link set lo up");
                test(dir.path());
            })
            .join();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs `work` in another network namespace.
pub(crate) fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let result = scope
            .spawn(|| {
                setns(File::open(namespace).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
                work()
            })
            .join();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs a future to its end, on a runtime whose threads are in this thread's namespaces.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Runs a command line, which must succeed, and returns its output.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}: {}{text}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A node: a network namespace with an uplink.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) namespace: PathBuf,
    pub(crate) config: Config,
    pub(crate) sandboxes: Sandboxes,
}

impl Node {
    /// A node whose uplink is a veth to the test's own namespace, there called like the node.
    pub(crate) fn new(dir: &Path, number: u8, address: &str) -> Self {
        let name = format!("node{number}");
        let sandboxes = Sandboxes::new(dir.join("pins")).unwrap();
        let spec = SandboxSpec { network: true, ..SandboxSpec::default() };
        let namespace = wait(sandboxes.create(&name, &spec)).unwrap().network().unwrap();
        run(&format!("ip link add {name} type veth peer name uplink netns {}", namespace.display()));
        run(&format!("ip link set {name} up"));
        inside(&namespace, || {
            run(&format!("ip address add {address} dev uplink"));
            run("ip link set uplink up");
        });
        let node_ip: Ipv4Addr = address.split('/').next().unwrap().parse().unwrap();
        let pods = format!("10.244.{number}.0/24").parse().unwrap();
        let state = dir.join(&name).join("addresses");
        let mut config = Config::new(node_ip, pods, "10.244.0.0/16".parse().unwrap(), state);
        config.service_cidr = Some("10.96.0.0/12".parse().unwrap());
        Self { name, namespace, config, sandboxes }
    }

    /// Runs `work` in the node's network namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.namespace, work)
    }

    /// The node's network, as a kubelet that has just started sees it.
    pub(crate) fn network(&self) -> BuiltinNetwork {
        self.inside(|| wait(BuiltinNetwork::start(self.config.clone())).unwrap())
    }

    /// Starts a pod's sandbox and network.
    pub(crate) fn pod(&self, network: &BuiltinNetwork, name: &str) -> Pod {
        self.inside(|| wait(start_pod(&self.sandboxes, network, &format!("{}-{name}", self.name))))
    }
}

/// A pod that has its network.
pub(crate) struct Pod {
    pub(crate) reference: PodRef,
    pub(crate) namespace: PathBuf,
    pub(crate) address: IpAddr,
}

/// What the kubelet does for each pod.
pub(crate) async fn start_pod(sandboxes: &Sandboxes, network: &BuiltinNetwork, uid: &str) -> Pod {
    let reference = PodRef::new(uid, "default", uid);
    let spec =
        SandboxSpec { network: true, ipc: true, hostname: Some(uid.to_owned()), ..SandboxSpec::default() };
    let namespace = sandboxes.create(uid, &spec).await.unwrap().network().unwrap();
    let address = network.setup(&reference, &namespace).await.unwrap().primary().unwrap();
    Pod { reference, namespace, address }
}

impl Pod {
    /// Sends a kilobyte to `server` and back, and returns the address that the server saw.
    pub(crate) fn talk_to(&self, server: &Pod) -> IpAddr {
        exchange(&self.namespace, &server.namespace, server.address)
    }
}

/// Connects from one namespace to an address served in another, and returns the client as the server saw it.
pub(crate) fn exchange(client: &Path, server: &Path, address: IpAddr) -> IpAddr {
    // Bigger than any MTU, so that fragmentation or a wrong MTU shows.
    const SIZE: usize = 100_000;
    let listener = inside(server, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    thread::scope(|scope| {
        let served = scope.spawn(move || {
            let (mut stream, peer) = listener.accept().unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let mut received = vec![0; SIZE];
            stream.read_exact(&mut received).unwrap();
            stream.write_all(&received).unwrap();
            peer.ip()
        });
        inside(client, || {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), DEADLINE).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            stream.write_all(&vec![7; SIZE]).unwrap();
            let mut echoed = vec![0; SIZE];
            stream.read_exact(&mut echoed).unwrap();
            assert!(echoed.iter().all(|byte| *byte == 7));
        });
        served.join().unwrap()
    })
}
