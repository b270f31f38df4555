//! The node's object and status: functions of what is known of the machine.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec,
    NodeStatus,
};
use gantry_api::meta::v1::ObjectMeta;
use gantry_api::scalars::{Quantity, Time};
use jiff::Timestamp;

use super::machine::{Load, Machine, architecture};

/// Less available memory than this is pressure, as upstream has it.
const MEMORY_PRESSURE: u64 = 100 << 20;
/// Less free storage or fewer free inodes than this are pressure.
const STORAGE_PRESSURE: u64 = 5;
const INODE_PRESSURE: u64 = 5;
/// Images that are listed.
const MAX_IMAGES: usize = 50;

/// What does not change while the kubelet runs.
#[derive(Debug, Clone, Default)]
pub struct NodeIdentity {
    /// The node's name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Labels from the configuration.
    pub labels: BTreeMap<String, String>,
    /// The kubelet's port.
    pub port: u16,
    /// Most pods.
    pub max_pods: u32,
    /// The machine.
    pub machine: Machine,
}

/// What does change.
#[derive(Debug, Clone, Default)]
pub struct NodeState {
    /// How the machine is doing.
    pub load: Load,
    /// What keeps the node from running pods; empty when nothing does.
    pub not_ready: Vec<String>,
    /// Images on the node: names and size.
    pub images: Vec<(Vec<String>, u64)>,
}

/// The labels that every node has.
#[must_use]
pub fn labels(identity: &NodeIdentity) -> BTreeMap<String, String> {
    let architecture = architecture();
    let mut labels = identity.labels.clone();
    for (key, value) in [
        ("kubernetes.io/hostname", identity.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", architecture),
    ] {
        labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    labels
}

/// The object that a new node registers.
#[must_use]
pub fn node(identity: &NodeIdentity, state: &NodeState, now: Timestamp) -> Node {
    Node {
        metadata: Some(ObjectMeta {
            name: identity.name.clone(),
            labels: labels(identity),
            ..ObjectMeta::default()
        }),
        spec: Some(NodeSpec::default()),
        status: Some(status(identity, state, now, &[])),
    }
}

/// The node's status. Times of transition are carried over from `previous` conditions.
#[must_use]
pub fn status(
    identity: &NodeIdentity,
    state: &NodeState,
    now: Timestamp,
    previous: &[NodeCondition],
) -> NodeStatus {
    let machine = &identity.machine;
    let resources: BTreeMap<String, Quantity> = [
        ("cpu", Quantity::from_units(machine.cpus)),
        ("memory", Quantity::from_bytes(machine.memory_bytes)),
        ("ephemeral-storage", Quantity::from_bytes(machine.storage_bytes)),
        ("pods", Quantity::from_units(i64::from(identity.max_pods))),
        ("hugepages-1Gi", Quantity::from_units(0)),
        ("hugepages-2Mi", Quantity::from_units(0)),
    ]
    .into_iter()
    .map(|(name, amount)| (name.to_owned(), amount))
    .collect();
    let mut addresses: Vec<NodeAddress> = identity
        .addresses
        .iter()
        .map(|ip| NodeAddress { r#type: "InternalIP".into(), address: ip.to_string() })
        .collect();
    addresses.push(NodeAddress { r#type: "Hostname".into(), address: identity.name.clone() });
    let mut images = state.images.clone();
    images.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    images.truncate(MAX_IMAGES);
    NodeStatus {
        capacity: resources.clone(),
        allocatable: resources,
        conditions: conditions(state, now, previous),
        addresses,
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(identity.port) }),
        }),
        node_info: Some(machine.info.clone()),
        images: images
            .into_iter()
            .map(|(names, size)| ContainerImage {
                names,
                size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
            })
            .collect(),
        ..NodeStatus::default()
    }
}

fn conditions(state: &NodeState, now: Timestamp, previous: &[NodeCondition]) -> Vec<NodeCondition> {
    let load = &state.load;
    let memory = load.memory_available < MEMORY_PRESSURE;
    let disk = load.storage_free_percent < STORAGE_PRESSURE || load.inodes_free_percent < INODE_PRESSURE;
    let pids =
        load.processes_max > 0 && load.processes.saturating_mul(10) > load.processes_max.saturating_mul(9);
    let of = |name: &str, active: bool, reason: &str, message: &str| {
        let status = if active { "True" } else { "False" };
        let before = previous.iter().find(|c| c.r#type == name && c.status == status);
        NodeCondition {
            r#type: name.to_owned(),
            status: status.to_owned(),
            last_heartbeat_time: Some(Time::from(now)),
            last_transition_time: before.and_then(|c| c.last_transition_time).or(Some(Time::from(now))),
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    };
    let pressure = |name: &str, active: bool, yes: [&str; 2], no: [&str; 2]| {
        let [reason, message] = if active { yes } else { no };
        of(name, active, reason, message)
    };
    let ready = if state.not_ready.is_empty() {
        of("Ready", true, "KubeletReady", "kubelet is posting ready status")
    } else {
        of("Ready", false, "KubeletNotReady", &state.not_ready.join("; "))
    };
    vec![
        pressure(
            "MemoryPressure",
            memory,
            ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
            ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
        ),
        pressure(
            "DiskPressure",
            disk,
            ["KubeletHasDiskPressure", "kubelet has disk pressure"],
            ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
        ),
        pressure(
            "PIDPressure",
            pids,
            ["KubeletHasInsufficientPID", "kubelet has insufficient PID available"],
            ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
        ),
        ready,
    ]
}

/// Whether two statuses say the same, whenever they say it.
#[must_use]
pub fn same(a: &NodeStatus, b: &NodeStatus) -> bool {
    let timeless = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in &mut status.conditions {
            condition.last_heartbeat_time = None;
            condition.last_transition_time = None;
        }
        status
    };
    timeless(a) == timeless(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> NodeState {
        NodeState {
            load: Load {
                memory_available: 1 << 30,
                storage_free_percent: 50,
                inodes_free_percent: 50,
                processes: 100,
                processes_max: 32768,
            },
            ..NodeState::default()
        }
    }

    fn shown(state: &NodeState) -> Vec<String> {
        let status = status(&NodeIdentity::default(), state, Timestamp::UNIX_EPOCH, &[]);
        status.conditions.iter().map(|c| format!("{}={}", c.r#type, c.status)).collect()
    }

    #[test]
    fn a_healthy_node_is_ready() {
        assert_eq!(
            shown(&healthy()),
            ["MemoryPressure=False", "DiskPressure=False", "PIDPressure=False", "Ready=True"]
        );
    }

    #[test]
    fn what_is_wrong_is_shown() {
        let mut state = healthy();
        state.load = Load {
            storage_free_percent: 1,
            inodes_free_percent: 50,
            processes_max: 100,
            processes: 95,
            memory_available: 1,
        };
        state.not_ready = vec!["no network".into(), "no runtime".into()];
        assert_eq!(
            shown(&state),
            ["MemoryPressure=True", "DiskPressure=True", "PIDPressure=True", "Ready=False"]
        );
        let status = status(&NodeIdentity::default(), &state, Timestamp::UNIX_EPOCH, &[]);
        assert_eq!(status.conditions[3].message, "no network; no runtime");
    }

    #[test]
    fn transitions_keep_their_time() {
        let identity = NodeIdentity::default();
        let first = status(&identity, &healthy(), Timestamp::UNIX_EPOCH, &[]);
        let later = Timestamp::from_second(100).unwrap();
        let second = status(&identity, &healthy(), later, &first.conditions);
        assert_eq!(second.conditions[3].last_transition_time, first.conditions[3].last_transition_time);
        assert!(same(&first, &second));
        let mut broken = healthy();
        broken.not_ready.push("x".into());
        let third = status(&identity, &broken, later, &second.conditions);
        assert_eq!(third.conditions[3].last_transition_time, Some(Time::from(later)));
        assert!(!same(&second, &third));
    }
}
