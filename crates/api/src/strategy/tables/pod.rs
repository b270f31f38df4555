//! Pods: most of it is the status, which upstream computes from the states of all containers.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, NONE, or_none, seconds, since};
use crate::core::v1::{ContainerState, ContainerStatus, Pod, PodSpec, PodStatus};
use crate::strategy::age;

pub(in crate::strategy) const COLUMNS: &[Column] = &[
    Column::NAME,
    Column::new("Ready", "string", "Ready containers of all containers"),
    Column::new("Status", "string", "The pod's phase, or why it is not running"),
    Column::new("Restarts", "string", "Restarts of its containers, and how long ago the last was"),
    Column::AGE,
    Column::wide("IP", "string", "The pod's address"),
    Column::wide("Node", "string", "The node that runs the pod"),
    Column::wide("Nominated Node", "string", "The node where room is being made for the pod"),
    Column::wide("Readiness Gates", "string", "Conditions beyond its containers' that must be true"),
];

pub(in crate::strategy) fn cells(pod: &Pod, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (pod.spec.clone().unwrap_or_default(), pod.status.clone().unwrap_or_default());
    let summary = Summary::of(pod, &spec, &status);
    let gates = spec.readiness_gates.iter();
    let passed = gates.filter(|gate| is_true(&status, &gate.condition_type)).count();
    let gates = if spec.readiness_gates.is_empty() {
        NONE.to_owned()
    } else {
        format!("{passed}/{}", spec.readiness_gates.len())
    };
    let restarts = match summary.last_restart {
        Some(last) if summary.restarts > 0 => {
            format!("{} ({} ago)", summary.restarts, since(Some(last), now))
        }
        _ => summary.restarts.to_string(),
    };
    let ip = status.pod_ips.first().map_or(status.pod_ip.as_str(), |ip| ip.ip.as_str());
    vec![
        crate::Resource::name(pod).into(),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age(crate::Resource::meta(pod), now),
        or_none(ip),
        or_none(&spec.node_name),
        or_none(&status.nominated_node_name),
        gates.into(),
    ]
}

/// What the containers come to.
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i32,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Pod, spec: &PodSpec, status: &PodStatus) -> Self {
        let reason = if status.reason.is_empty() { &status.phase } else { &status.reason };
        let gated = status
            .conditions
            .iter()
            .any(|condition| condition.r#type == "PodScheduled" && condition.reason == "SchedulingGated");
        let sidecars =
            spec.init_containers.iter().filter(|container| is_sidecar(spec, &container.name)).count();
        let mut summary = Self {
            reason: if gated { "SchedulingGated".to_owned() } else { reason.clone() },
            ready: 0,
            total: spec.containers.len() + sidecars,
            restarts: 0,
            last_restart: None,
        };
        let initializing = summary.add_init_containers(spec, status);
        if !initializing || is_true(status, "Initialized") {
            summary.add_containers(spec, status);
        }
        let terminal = matches!(status.phase.as_str(), "Succeeded" | "Failed");
        if crate::Resource::meta(pod).deletion_timestamp.is_some() {
            if status.reason == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !terminal {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    /// Whether one of the init containers is not done: the first of them gives the reason.
    fn add_init_containers(&mut self, spec: &PodSpec, status: &PodStatus) -> bool {
        for (index, container) in status.init_container_statuses.iter().enumerate() {
            self.count_restarts(container);
            let state = container.state.clone().unwrap_or_default();
            let sidecar = is_sidecar(spec, &container.name);
            let why = match state {
                ContainerState { terminated: Some(ended), .. } if ended.exit_code == 0 => continue,
                _ if sidecar && container.started == Some(true) => {
                    self.ready += usize::from(container.ready);
                    continue;
                }
                ContainerState { terminated: Some(ended), .. } if !ended.reason.is_empty() => ended.reason,
                ContainerState { terminated: Some(ended), .. } => exit(ended.signal, ended.exit_code),
                ContainerState { waiting: Some(waiting), .. }
                    if !matches!(waiting.reason.as_str(), "" | "PodInitializing") =>
                {
                    waiting.reason
                }
                _ => format!("{index}/{}", spec.init_containers.len()),
            };
            self.reason = format!("Init:{why}");
            return true;
        }
        false
    }

    fn add_containers(&mut self, spec: &PodSpec, status: &PodStatus) {
        // What init containers restarted does not count any more, save those of sidecars.
        (self.restarts, self.last_restart) = (0, None);
        for container in status.init_container_statuses.iter().filter(|c| is_sidecar(spec, &c.name)) {
            self.count_restarts(container);
        }
        let mut running = false;
        for container in status.container_statuses.iter().rev() {
            self.count_restarts(container);
            match container.state.clone().unwrap_or_default() {
                ContainerState { waiting: Some(waiting), .. } if !waiting.reason.is_empty() => {
                    self.reason = waiting.reason;
                }
                ContainerState { terminated: Some(ended), .. } if !ended.reason.is_empty() => {
                    self.reason = ended.reason;
                }
                ContainerState { terminated: Some(ended), .. } => {
                    self.reason = exit(ended.signal, ended.exit_code);
                }
                ContainerState { running: Some(_), .. } if container.ready => {
                    running = true;
                    self.ready += 1;
                }
                _ => {}
            }
        }
        if self.reason == "Completed" && running {
            self.reason = if is_true(status, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn count_restarts(&mut self, container: &ContainerStatus) {
        self.restarts += container.restart_count;
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        self.last_restart = self.last_restart.max(ended.and_then(|ended| seconds(ended.finished_at)));
    }
}

fn exit(signal: i32, code: i32) -> String {
    if signal == 0 { format!("ExitCode:{code}") } else { format!("Signal:{signal}") }
}

/// An init container that runs on beside the others.
fn is_sidecar(spec: &PodSpec, name: &str) -> bool {
    let container = spec.init_containers.iter().find(|container| container.name == name);
    container.is_some_and(|container| container.restart_policy.as_deref() == Some("Always"))
}

fn is_true(status: &PodStatus, condition: &str) -> bool {
    status.conditions.iter().any(|c| c.r#type == condition && c.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(pod: Value) -> String {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let cells = cells(&pod, "2024-01-01T01:00:00Z".parse().unwrap());
        let texts: Vec<&str> = cells.iter().filter_map(Value::as_str).collect();
        texts[1..4].join(" ")
    }

    fn with_state(state: &Value, ready: bool) -> Value {
        json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "a"}]},
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "a", "ready": ready, "restartCount": 2, "state": state,
                "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2024-01-01T00:55:00Z"}},
            }]},
        })
    }

    #[test]
    fn the_status_is_upstreams() {
        assert_eq!(row(with_state(&json!({"running": {}}), true)), "1/1 Running 2 (5m ago)");
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(row(with_state(&waiting, false)), "0/1 CrashLoopBackOff 2 (5m ago)");
        assert_eq!(
            row(with_state(&json!({"terminated": {"exitCode": 3}}), false)),
            "0/1 ExitCode:3 2 (5m ago)"
        );
        let mut deleted = with_state(&json!({"running": {}}), true);
        deleted["metadata"]["deletionTimestamp"] = "2024-01-01T00:59:00Z".into();
        assert_eq!(row(deleted), "1/1 Terminating 2 (5m ago)");
    }

    #[test]
    fn init_containers_come_first() {
        let pod = |state: Value| {
            json!({
                "spec": {"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]},
                "status": {"phase": "Pending", "initContainerStatuses": [
                    {"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": state}]},
            })
        };
        assert_eq!(row(pod(json!({"running": {}}))), "0/1 Init:1/2 0");
        assert_eq!(row(pod(json!({"terminated": {"exitCode": 7}}))), "0/1 Init:ExitCode:7 0");
        assert_eq!(
            row(json!({"spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Pending"}})),
            "0/1 Pending 0"
        );
    }
}
