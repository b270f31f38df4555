//! The node's pod network: started when the node gets its range, kept in step with the other nodes.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::core::v1::Node;
use gantry_client::Informer;
use gantry_pod_network::{
    BuiltinNetwork, CniDirs, CniNetwork, Config, Error, HostPorts, Ipv4Net, NodeRoute, PodNetwork,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::pod::actor::chain;

/// How long to wait before something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What the network needs to know.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// The node's name.
    pub node: String,
    /// Its address.
    pub node_ip: Ipv4Addr,
    /// The range of all pods.
    pub cluster_cidr: Ipv4Net,
    /// The range of services.
    pub service_cidr: Option<Ipv4Net>,
    /// Where allocations are kept.
    pub state_dir: PathBuf,
    /// Ports of the node that lead to pods.
    pub host_ports: Arc<HostPorts>,
}

/// Starts the network and keeps its routes right, until `stop`. `ready` tells the network, `trouble` why there is none.
pub async fn maintain(
    settings: NetworkSettings,
    nodes: Informer<Node>,
    mut live: watch::Receiver<Option<BTreeSet<String>>>,
    ready: watch::Sender<Option<Arc<dyn PodNetwork>>>,
    trouble: watch::Sender<Option<String>>,
    stop: CancellationToken,
) {
    let work = async {
        let mut events = nodes.subscribe();
        nodes.synced().await;
        let mut network: Option<Arc<dyn PodNetwork>> = None;
        let mut routes = None;
        loop {
            if network.is_none() {
                network = start(&settings, &nodes, &mut live, &trouble).await;
                ready.send_replace(network.clone());
            }
            let failed = match &network {
                Some(network) => sync(network.as_ref(), &settings, &nodes, &mut routes).await.is_err(),
                None => true,
            };
            // Changes wake it up; what failed is tried again even without one.
            let ended = if failed {
                matches!(tokio::time::timeout(RETRY, events.next()).await, Ok(None))
            } else {
                events.next().await.is_none()
            };
            if ended {
                return;
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

async fn start(
    settings: &NetworkSettings,
    nodes: &Informer<Node>,
    live: &mut watch::Receiver<Option<BTreeSet<String>>>,
    trouble: &watch::Sender<Option<String>>,
) -> Option<Arc<dyn PodNetwork>> {
    match connect(settings, nodes, live).await {
        Ok(network) => {
            trouble.send_replace(None);
            Some(network)
        }
        Err(reason) => {
            let text = format!("container runtime network not ready: {reason}");
            // Told once: it is tried again every second.
            let news = trouble.send_if_modified(|known| {
                let news = known.as_ref() != Some(&text);
                if news {
                    *known = Some(text.clone());
                }
                news
            });
            if news {
                tracing::warn!(reason, "no pod network yet");
            }
            None
        }
    }
}

/// The plugins that the node is configured for, else the built-in network, which needs a range.
async fn connect(
    settings: &NetworkSettings,
    nodes: &Informer<Node>,
    live: &mut watch::Receiver<Option<BTreeSet<String>>>,
) -> Result<Arc<dyn PodNetwork>, String> {
    let dirs = CniDirs::new(settings.state_dir.join("cni"));
    let network: Arc<dyn PodNetwork> = match CniNetwork::detect(dirs).map_err(|error| chain(&error))? {
        Some(network) => {
            tracing::info!(name = network.name(), "pod network by CNI plugins");
            Arc::new(network)
        }
        None => {
            let own = nodes.store().get("", &settings.node);
            let range = own.as_deref().and_then(pod_cidr).ok_or("the node has no pod range yet")?;
            let allocations = settings.state_dir.join("addresses");
            let mut config = Config::new(settings.node_ip, range, settings.cluster_cidr, allocations);
            config.service_cidr = settings.service_cidr;
            let network = BuiltinNetwork::start(config).await.map_err(|error: Error| chain(&error))?;
            tracing::info!(%range, "pod network ready");
            Arc::new(network)
        }
    };
    // Nobody is connected before what pods left behind is gone.
    let live = live.wait_for(Option::is_some).await.ok().and_then(|live| live.clone());
    let live = live.unwrap_or_default();
    network.retain(&live).await.map_err(|error| chain(&error))?;
    settings.host_ports.retain(&live).await.map_err(|error| chain(&error))?;
    Ok(network)
}

fn pod_cidr(node: &Node) -> Option<Ipv4Net> {
    let spec = node.spec.as_ref()?;
    [&spec.pod_cidr].into_iter().chain(&spec.pod_cidrs).find_map(|range| range.parse().ok())
}

/// The routes to all other nodes.
fn routes(nodes: &[Arc<Node>], own: &str) -> Vec<NodeRoute> {
    let mut routes: Vec<NodeRoute> = nodes
        .iter()
        .filter(|node| node.metadata.as_ref().is_some_and(|meta| meta.name != own))
        .filter_map(|node| Some(NodeRoute { pod_cidr: pod_cidr(node)?, node_ip: internal_ip(node)? }))
        .collect();
    routes.sort_unstable();
    routes
}

fn internal_ip(node: &Node) -> Option<Ipv4Addr> {
    let addresses = node.status.iter().flat_map(|status| &status.addresses);
    let internal = addresses.filter(|address| address.r#type == "InternalIP");
    internal.filter_map(|address| address.address.parse::<IpAddr>().ok()).find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    })
}

async fn sync(
    network: &dyn PodNetwork,
    settings: &NetworkSettings,
    nodes: &Informer<Node>,
    current: &mut Option<Vec<NodeRoute>>,
) -> Result<(), ()> {
    let wanted = routes(&nodes.store().list(), &settings.node);
    if current.as_ref() == Some(&wanted) {
        return Ok(());
    }
    match network.sync_routes(&wanted).await {
        Ok(()) => {
            tracing::info!(nodes = wanted.len(), "routes to other nodes set");
            *current = Some(wanted);
            Ok(())
        }
        Err(error) => {
            tracing::warn!(error = chain(&error), "routes to other nodes not set; trying again");
            Err(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_nodes_with_range_and_address_are_routed_to() {
        let node = |name: &str, range: &str, ip: &str| -> Arc<Node> {
            let text = format!(
                r#"{{"metadata":{{"name":"{name}"}},"spec":{{"podCIDR":"{range}"}},
                    "status":{{"addresses":[{{"type":"InternalIP","address":"{ip}"}}]}}}}"#
            );
            Arc::new(serde_json::from_str(&text).unwrap())
        };
        let nodes = [
            node("a", "10.244.0.0/24", "10.1.0.1"),
            node("c", "10.244.2.0/24", "10.1.0.3"),
            node("b", "10.244.1.0/24", "10.1.0.2"),
            node("new", "", "10.1.0.4"),
        ];
        let shown: Vec<String> =
            routes(&nodes, "a").iter().map(|r| format!("{} via {}", r.pod_cidr, r.node_ip)).collect();
        assert_eq!(shown, ["10.244.1.0/24 via 10.1.0.2", "10.244.2.0/24 via 10.1.0.3"]);
    }
}
