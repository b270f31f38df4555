//! All of it put together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use gantry_api::core::v1::Node;
use gantry_client::{Client, Informer};
use gantry_container_runtime::{Containerd, ContainerdOptions, Runtime};
use gantry_pod_network::{HostPorts, PodNetwork, Sandboxes};
use gantry_telemetry::health::Checks;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::allocations::{Allocations, Amounts};
use crate::cgroups::Cgroups;
use crate::cluster::client::ClientCluster;
use crate::host::{Host, NodeFacts};
use crate::metrics::Metrics;
use crate::node::machine::{Machine, machine};
use crate::node::object::NodeIdentity;
use crate::node::{Agent, Health, NetworkSettings, heartbeat, maintain};
use crate::options::Options;
use crate::paths::Paths;
use crate::pods::Pods;
use crate::server::{self, Server};
use crate::starts::Starts;
use crate::volumes::dns::DnsSettings;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Why the kubelet cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory or file of the node cannot be used.
    #[error("{path}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime's client cannot be set up.
    #[error("container runtime")]
    Runtime(#[from] gantry_container_runtime::Error),
    /// A directory of the pod network cannot be used.
    #[error("pod network")]
    Network(#[from] gantry_pod_network::Error),
    /// No address of this node is known.
    #[error("the node's address cannot be found out from the route to {server}; give --node-ip")]
    NodeAddress {
        /// The API server.
        server: String,
    },
    /// The pod network is IPv4.
    #[error("--node-ip: {0} is not an IPv4 address, which the pod network needs")]
    NotIpv4(IpAddr),
    /// Metrics of the same name exist.
    #[error("metrics")]
    Metrics(#[from] prometheus::Error),
    /// The server cannot be set up.
    #[error("server")]
    Server(#[from] server::Error),
}

/// The kubelet, ready to run.
pub struct Kubelet {
    options: Options,
    client: Client,
    runtime: Arc<dyn Runtime>,
    node_ip: Ipv4Addr,
    machine: Machine,
    paths: Paths,
    server: Option<Server>,
}

impl Kubelet {
    /// Prepares everything that needs neither the API server nor containerd to answer. `servers` are the API servers.
    pub async fn build(options: Options, client: Client, servers: &[http::Uri]) -> Result<Self, Error> {
        let paths = Paths::new(options.root_dir.clone(), options.run_dir.clone(), options.logs_dir.clone());
        for dir in [paths.pods(), paths.network(), paths.secrets(), paths.logs().to_owned()] {
            let io = |source| Error::Io { path: dir.display().to_string(), source };
            std::fs::create_dir_all(&dir).map_err(io)?;
        }
        let address = match options.node_ip {
            Some(ip) => ip,
            None => own_address(servers)?,
        };
        let IpAddr::V4(node_ip) = address else { return Err(Error::NotIpv4(address)) };
        let runtime = Arc::new(Containerd::new(ContainerdOptions {
            socket: options.runtime_socket.clone(),
            namespace: options.runtime_namespace.clone(),
            runtime_root: Some(options.runc_root.clone()),
            log_driver: options.log_driver.clone(),
            state_dir: options.run_dir.join("runtime"),
            data_dir: options.root_dir.clone(),
            registries: options.registries.clone(),
            max_parallel_pulls: options.max_parallel_pulls,
            ..ContainerdOptions::default()
        })?);
        let io = |source| Error::Io { path: options.root_dir.display().to_string(), source };
        let machine = machine(&options.root_dir, "containerd://").map_err(io)?;
        let server = match &options.tls {
            Some(files) => {
                let address = SocketAddr::new(address, options.port);
                Some(Server::bind(address, files).await?)
            }
            None => None,
        };
        Ok(Self { options, client, runtime, node_ip, machine, paths, server })
    }

    /// Runs until `stop`. Containers go on running.
    pub async fn run(self, checks: &Checks, stop: CancellationToken) -> Result<(), Error> {
        let Self { options, client, runtime, node_ip, machine, paths, server } = self;
        let (network, networks) = watch::channel::<Option<Arc<dyn PodNetwork>>>(None);
        let (trouble, troubles) = watch::channel(Some("container runtime network not ready".to_owned()));
        let cluster = ClientCluster::new(client.clone(), &options.node_name, stop.clone());
        let resolver = read_or_empty(&options.resolver_config);
        let host_ports = Arc::new(HostPorts::open(paths.network().join("host-ports"))?);
        let host = Arc::new(Host {
            runtime: Arc::clone(&runtime),
            cluster: Arc::new(cluster),
            sandboxes: Arc::new(Sandboxes::new(paths.sandboxes())?),
            network: networks,
            host_ports: Arc::clone(&host_ports),
            cgroups: Cgroups::find(Path::new(CGROUPS), &options.cgroup_root),
            paths: paths.clone(),
            facts: NodeFacts {
                addresses: vec![IpAddr::V4(node_ip)],
                cpu_milli: machine.cpus.saturating_mul(1000),
                memory_bytes: machine.memory_bytes,
                dns: DnsSettings {
                    servers: options.cluster_dns.iter().map(ToString::to_string).collect(),
                    domain: options.cluster_domain.clone(),
                    node: resolver,
                },
            },
            metrics: Metrics::new()?,
            starts: Starts::default(),
            allocations: Allocations::new(Amounts {
                cpu_milli: machine.cpus.saturating_mul(1000),
                memory_bytes: machine.memory_bytes,
            }),
        });
        let pods = Pods::new(Arc::clone(&host));
        let nodes = Informer::<Node>::builder(&client)
            .transform(|node| {
                // Of other nodes only ranges and addresses are read.
                if let Some(status) = &mut node.status {
                    let addresses = std::mem::take(&mut status.addresses);
                    *status = gantry_api::core::v1::NodeStatus { addresses, ..Default::default() };
                }
            })
            .spawn(stop.clone());
        let settings = NetworkSettings {
            node: options.node_name.clone(),
            node_ip,
            cluster_cidr: options.cluster_cidr,
            service_cidr: options.service_cidr,
            state_dir: paths.network(),
            host_ports,
        };
        let agent = Agent {
            client: client.clone(),
            identity: NodeIdentity {
                name: options.node_name.clone(),
                addresses: vec![IpAddr::V4(node_ip)],
                labels: options.node_labels.clone(),
                port: options.port,
                max_pods: options.max_pods,
                machine,
            },
            nodes: nodes.clone(),
            runtime: Arc::clone(&runtime),
            health: Health { network: troubles },
            root: options.root_dir.clone(),
            frequency: options.status_frequency,
        };
        ready_check(checks, &pods);
        let mut tasks = JoinSet::new();
        if let Some(server) = server {
            tasks.spawn(server.run(Arc::clone(&host), pods.directory(), stop.clone()));
        }
        tasks.spawn(maintain(settings, nodes, pods.listed(), network, trouble, stop.clone()));
        tasks.spawn(agent.run(stop.clone()));
        let name = options.node_name.clone();
        tasks.spawn(heartbeat(client, name, options.lease_duration, stop.clone()));
        tasks.spawn(pods.run(stop.clone()));
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(()) if stop.is_cancelled() => {}
                Ok(()) => tracing::error!("a part of the kubelet ended by itself: this is a bug"),
                Err(error) => tracing::error!(%error, "a part of the kubelet broke off: this is a bug"),
            }
            // Half a kubelet is worse than one that is started anew: nothing is lost by that.
            stop.cancel();
        }
        Ok(())
    }
}

fn ready_check(checks: &Checks, pods: &Pods) {
    let listed = pods.listed();
    checks.readyz("pods", move || match listed.borrow().is_some() {
        true => Ok(()),
        false => Err("the node's pods have not been listed yet".to_owned()),
    });
}

/// The node's resolver configuration; one that is not there is empty.
fn read_or_empty(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "no resolver configuration of the node");
        String::new()
    })
}

/// The address from which the API server is reached. Nothing is sent for that.
fn own_address(servers: &[http::Uri]) -> Result<IpAddr, Error> {
    let server = servers.first();
    let unknown = || Error::NodeAddress { server: server.map(ToString::to_string).unwrap_or_default() };
    let server = server.ok_or_else(unknown)?;
    let port = server.port_u16().unwrap_or(443);
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|_| unknown())?;
    socket.connect((host, port)).map_err(|_| unknown())?;
    socket.local_addr().map(|address| address.ip()).map_err(|_| unknown())
}
