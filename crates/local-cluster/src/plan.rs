//! Which processes make the cluster, with their command lines: computed from the description, nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::spec::{Node, Spec};
use crate::{Binaries, Error, Network, Paths, Result, pki};

/// The variable that marks every process of a cluster with the cluster's directory.
pub const MARK: &str = "GANTRY_STATE_DIR";

/// What the supervisor keeps running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The processes, in the order in which they are started; they are stopped in the reverse.
    pub processes: Vec<Process>,
    /// The proxy for the nodes' way to registries outside.
    pub forward: Forward,
}

/// The forward proxy in the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whose nodes it serves.
    pub network: Network,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its name, also of its log.
    pub name: String,
    /// The namespaces in which it runs; none for the host's.
    pub inside: Option<Namespaces>,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment beside the common part.
    pub env: BTreeMap<String, String>,
    /// What must be there before it is first started.
    pub after: Vec<Sign>,
}

/// A node's namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// The network namespace's file.
    pub net: PathBuf,
    /// The mount namespace's file.
    pub mount: PathBuf,
}

/// A sign that something is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sign {
    /// A TCP port accepts.
    Tcp(SocketAddr),
    /// The containerd of the named process answers on its socket.
    Containerd(String),
}

impl Process {
    /// The program and arguments that are executed, namespaces included.
    pub fn command_line(&self) -> Vec<String> {
        let mut line = Vec::new();
        if let Some(inside) = &self.inside {
            line.extend([
                "nsenter".to_owned(),
                format!("--net={}", inside.net.display()),
                format!("--mount={}", inside.mount.display()),
                "--".to_owned(),
            ]);
        }
        line.push(self.program.display().to_string());
        line.extend(self.args.iter().cloned());
        line
    }
}

/// Where containerd listens, inside a node.
pub(crate) const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";

/// Plans the cluster.
pub fn plan(spec: &Spec, paths: &Paths, binaries: &Binaries) -> Result<Plan> {
    let planner = Planner { spec, paths, binaries };
    let mut processes = vec![planner.etcd()?, planner.registry()?];
    for node in spec.nodes() {
        processes.push(planner.containerd(&node)?);
    }
    processes.push(planner.api_server()?);
    processes.extend([planner.controller_manager()?, planner.scheduler()?, planner.dns()?]);
    for node in spec.nodes() {
        processes.extend([planner.kubelet(&node)?, planner.proxy(&node)?]);
    }
    for process in &mut processes {
        let component = process.name.split("-node-").next().unwrap_or_default();
        process.args.extend(spec.flags.get(component).cloned().unwrap_or_default());
    }
    let forward = Forward { listen: spec.network.forward_proxy(), network: spec.network.clone() };
    Ok(Plan { processes, forward })
}

struct Planner<'a> {
    spec: &'a Spec,
    paths: &'a Paths,
    binaries: &'a Binaries,
}

impl Planner<'_> {
    /// Whose tokens those of service accounts are.
    const ISSUER: &'static str = "https://kubernetes.default.svc.cluster.local";

    fn etcd(&self) -> Result<Process> {
        let ports = &self.spec.ports;
        let client = format!("http://127.0.0.1:{}", ports.etcd);
        let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
        self.process(
            "etcd",
            "etcd",
            vec![
                "--name=gantry".to_owned(),
                format!("--data-dir={}", self.paths.etcd().display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=gantry={peer}"),
                // One member elects itself: a short election is a fast start and nothing else.
                "--heartbeat-interval=20".to_owned(),
                "--election-timeout=200".to_owned(),
                "--quota-backend-bytes=8589934592".to_owned(),
                "--logger=zap".to_owned(),
                "--log-level=warn".to_owned(),
            ],
        )
    }

    fn registry(&self) -> Result<Process> {
        let config = self.paths.config("registry.yaml").display().to_string();
        self.process("registry", "docker-registry", vec!["serve".to_owned(), config])
    }

    fn api_server(&self) -> Result<Process> {
        let (network, ports) = (&self.spec.network, &self.spec.ports);
        let mut process = self.process(
            "apiserver",
            "gantry-apiserver",
            vec![
                format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--bind-address={}", network.gateway()),
                format!("--secure-port={}", ports.api),
                format!("--advertise-address={}", network.gateway()),
                format!("--service-cluster-ip-range={}", Network::SERVICES),
                flag("--tls-cert-file", &self.paths.certificate(pki::API_SERVER)),
                flag("--tls-private-key-file", &self.paths.key(pki::API_SERVER)),
                flag("--client-ca-file", &self.paths.certificate(pki::CA)),
                flag("--requestheader-client-ca-file", &self.paths.certificate(pki::FRONT_PROXY_CA)),
                format!("--requestheader-allowed-names={}", pki::FRONT_PROXY_CLIENT),
                "--requestheader-username-headers=X-Remote-User".to_owned(),
                "--requestheader-uid-headers=X-Remote-Uid".to_owned(),
                "--requestheader-group-headers=X-Remote-Group".to_owned(),
                "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
                flag("--proxy-client-cert-file", &self.paths.certificate(pki::FRONT_PROXY_CLIENT)),
                flag("--proxy-client-key-file", &self.paths.key(pki::FRONT_PROXY_CLIENT)),
                flag("--service-account-signing-key-file", &self.paths.key(pki::SERVICE_ACCOUNTS)),
                format!("--service-account-issuer={}", Self::ISSUER),
                flag("--kubelet-certificate-authority", &self.paths.certificate(pki::CA)),
                flag("--kubelet-client-certificate", &self.paths.certificate(pki::API_SERVER_NODE_CLIENT)),
                flag("--kubelet-client-key", &self.paths.key(pki::API_SERVER_NODE_CLIENT)),
            ],
        )?;
        process.after.push(Sign::Tcp(SocketAddr::from(([127, 0, 0, 1], ports.etcd))));
        Ok(process)
    }

    fn controller_manager(&self) -> Result<Process> {
        let health = self.health(self.spec.ports.controller_manager);
        let range = format!("--cluster-cidr={}", Network::PODS);
        // There is one, and its successor must not wait until its lease has run out.
        let args = vec![health, range, "--leader-elect=false".to_owned()];
        self.client("controller-manager", "gantry-controller-manager", args)
    }

    fn scheduler(&self) -> Result<Process> {
        let args = vec![self.health(self.spec.ports.scheduler), "--leader-elect=false".to_owned()];
        self.client("scheduler", "gantry-scheduler", args)
    }

    fn dns(&self) -> Result<Process> {
        let network = &self.spec.network;
        self.client(
            "dns",
            "gantry-dns",
            vec![
                self.health(self.spec.ports.dns),
                format!("--bind-address={}", network.dns()),
                format!("--advertise-address={}", network.gateway()),
            ],
        )
    }

    fn containerd(&self, node: &Node) -> Result<Process> {
        let name = format!("containerd-{}", node.name());
        let config = self.paths.config(&format!("{name}.toml"));
        let mut process = self.process(&name, "containerd", vec![flag("--config", &config)])?;
        process.inside = Some(self.inside(node));
        Ok(process)
    }

    fn kubelet(&self, node: &Node) -> Result<Process> {
        let name = format!("kubelet-{}", node.name());
        let mut process = self.client(
            &name,
            "gantry-kubelet",
            vec![
                format!("--node-name={}", node.name()),
                format!("--node-ip={}", node.address()),
                flag("--root-dir", &self.paths.node(node).join("kubelet")),
                format!("--container-runtime-endpoint={CONTAINERD_SOCKET}"),
                flag("--tls-cert-file", &self.paths.certificate(&name)),
                flag("--tls-private-key-file", &self.paths.key(&name)),
                flag("--client-ca-file", &self.paths.certificate(pki::CA)),
                flag("--config", &self.paths.config(&format!("{name}.yaml"))),
            ],
        )?;
        process.inside = Some(self.inside(node));
        process.env = self.forward_env();
        process.after.push(Sign::Containerd(format!("containerd-{}", node.name())));
        Ok(process)
    }

    fn proxy(&self, node: &Node) -> Result<Process> {
        let mut process = self.client(
            &format!("proxy-{}", node.name()),
            "gantry-proxy",
            vec![format!("--node-name={}", node.name()), format!("--cluster-cidr={}", Network::PODS)],
        )?;
        // All nodes share one identity: what the proxy may read does not depend on the node.
        process.args[0] = flag("--kubeconfig", &self.paths.component_kubeconfig("proxy"));
        process.inside = Some(self.inside(node));
        Ok(process)
    }

    /// A component that talks to the API server.
    fn client(&self, name: &str, program: &str, args: Vec<String>) -> Result<Process> {
        let mut all = vec![flag("--kubeconfig", &self.paths.component_kubeconfig(name))];
        all.extend(args);
        let mut process = self.process(name, program, all)?;
        process.after.push(Sign::Tcp(SocketAddr::from((self.spec.network.gateway(), self.spec.ports.api))));
        Ok(process)
    }

    fn process(&self, name: &str, program: &str, args: Vec<String>) -> Result<Process> {
        let found = self
            .binaries
            .find(program)
            .ok_or_else(|| Error::Preflight(vec![format!("the program {program} is not found")]))?;
        Ok(Process {
            name: name.to_owned(),
            inside: None,
            program: found,
            args,
            env: BTreeMap::new(),
            after: Vec::new(),
        })
    }

    fn inside(&self, node: &Node) -> Namespaces {
        Namespaces {
            net: Path::new("/run/netns").join(node.netns()),
            mount: self.paths.mount_namespace(node),
        }
    }

    fn health(&self, port: u16) -> String {
        format!("--health-address=127.0.0.1:{port}")
    }

    /// The way to registries outside. What belongs to the cluster is reached directly.
    fn forward_env(&self) -> BTreeMap<String, String> {
        let network = &self.spec.network;
        let proxy = format!("http://{}", network.forward_proxy());
        // The gateway also by itself: not every reader of this variable knows ranges.
        let direct = format!(
            "127.0.0.0/8,localhost,{},{},{},{}",
            network.gateway(),
            network.subnet(),
            Network::PODS,
            Network::SERVICES
        );
        [("HTTPS_PROXY", proxy), ("NO_PROXY", direct)].map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::binaries::{OWN, SYSTEM};

    fn planned(spec: &Spec) -> Plan {
        let dir = tempfile::tempdir().unwrap();
        for name in OWN.iter().chain(SYSTEM.iter().map(|(name, _)| name)) {
            fs::write(dir.path().join(name), "").unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        plan(spec, &Paths::new("/state".into()), &Binaries::new(dir.path())).unwrap()
    }

    #[test]
    fn names_are_unique_and_nodes_run_in_their_namespaces() {
        let plan = planned(&Spec { nodes: 3, ..Spec::default() });
        let mut names: Vec<_> = plan.processes.iter().map(|process| &process.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 6 + 3 * 3);
        for process in &plan.processes {
            let of_node = process.name.contains("-node-");
            assert_eq!(process.inside.is_some(), of_node, "{}", process.name);
            assert_eq!(process.command_line()[0] == "nsenter", of_node, "{}", process.name);
        }
    }

    #[test]
    fn flags_reach_their_component_only() {
        let flags = [("kubelet".to_owned(), vec!["--max-pods=5".to_owned()])].into();
        let plan = planned(&Spec { nodes: 2, flags, ..Spec::default() });
        let with: Vec<_> = plan
            .processes
            .iter()
            .filter(|process| process.args.contains(&"--max-pods=5".to_owned()))
            .map(|process| process.name.as_str())
            .collect();
        assert_eq!(with, ["kubelet-node-1", "kubelet-node-2"]);
    }
}
