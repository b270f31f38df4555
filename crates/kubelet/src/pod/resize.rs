//! Pods whose containers are to have other resources than before: what they are given, and what is to be done for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use gantry_api::scalars::Quantity;

use super::snapshot::{ContainerRecord, Failure, PodSnapshot, is_sidecar};
use crate::allocations::{Amounts, Refusal};

/// What containers have been given, by name.
pub type Allocated = BTreeMap<String, ResourceRequirements>;

/// What can be changed while a container runs.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// How far a resize has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resize {
    /// Why the pod does not get what it asks for.
    pub pending: Option<Refusal>,
    /// Why a container does not get what it was given.
    pub failure: Option<Failure>,
}

/// What is to be done about a container that runs with other resources than it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Its limits are changed while it runs.
    Update,
    /// It is started anew.
    Restart,
}

/// The containers that can be resized.
fn resizable(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().filter(|container| is_sidecar(container)).chain(&spec.containers)
}

/// What a pod asks for.
#[must_use]
pub fn wanted(pod: &Pod) -> Allocated {
    let containers = pod.spec.iter().flat_map(resizable);
    containers.map(|c| (c.name.clone(), c.resources.clone().unwrap_or_default())).collect()
}

/// What a pod had been given when it was last seen: what its status says, or else what it asks for.
#[must_use]
pub fn given(pod: &Pod) -> Allocated {
    let mut all = wanted(pod);
    let statuses =
        pod.status.iter().flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses));
    for status in statuses.filter(|status| !status.container_id.is_empty()) {
        let Some(resources) = all.get_mut(&status.name) else { continue };
        let Some(actual) = &status.resources else { continue };
        let mut shown = actual.clone();
        shown.requests.extend(status.allocated_resources.clone());
        take_over(resources, &shown);
    }
    all
}

/// Takes over what can be resized, and leaves the rest.
fn take_over(resources: &mut ResourceRequirements, from: &ResourceRequirements) {
    let lists = [(&mut resources.requests, &from.requests), (&mut resources.limits, &from.limits)];
    for (list, from) in lists {
        for name in RESIZABLE {
            match from.get(name) {
                Some(amount) => drop(list.insert(name.to_owned(), amount.clone())),
                None => drop(list.remove(name)),
            }
        }
    }
}

/// The pod as it is given what it was given.
#[must_use]
pub fn with_allocated(pod: &Arc<Pod>, allocated: &Allocated) -> Arc<Pod> {
    if is_same(&wanted(pod), allocated) {
        return Arc::clone(pod);
    }
    let mut pod = Pod::clone(pod);
    if let Some(spec) = &mut pod.spec {
        for container in spec.init_containers.iter_mut().chain(&mut spec.containers) {
            if let Some(given) = allocated.get(&container.name) {
                container.resources = Some(given.clone());
            }
        }
    }
    Arc::new(pod)
}

/// Whether all containers have the same.
#[must_use]
pub fn is_same(one: &Allocated, other: &Allocated) -> bool {
    one.len() == other.len()
        && one.iter().all(|(name, resources)| {
            other.get(name).is_some_and(|other| changed(resources, other).is_empty())
        })
}

/// Which resources differ, in requests or limits.
fn changed(one: &ResourceRequirements, other: &ResourceRequirements) -> Vec<&'static str> {
    let amount = |list: &BTreeMap<String, Quantity>, name: &str| list.get(name).map(|q| q.nanos().ok());
    let differs = |name: &&str| {
        amount(&one.requests, name) != amount(&other.requests, name)
            || amount(&one.limits, name) != amount(&other.limits, name)
    };
    RESIZABLE.into_iter().filter(differs).collect()
}

/// What a pod's containers ask for together, at the time when that is most.
#[must_use]
pub fn requests(spec: &PodSpec) -> Amounts {
    let mut sidecars = Amounts::default();
    let mut most = Amounts::default();
    for container in &spec.init_containers {
        if is_sidecar(container) {
            sidecars = sidecars.plus(of(container));
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars.plus(of(container)));
        }
    }
    most.max(spec.containers.iter().map(of).fold(sidecars, Amounts::plus))
}

fn of(container: &Container) -> Amounts {
    let requested = |name: &str| {
        let resources = container.resources.as_ref()?;
        resources.requests.get(name).or_else(|| resources.limits.get(name))
    };
    Amounts {
        cpu_milli: requested("cpu").and_then(Quantity::milli).unwrap_or_default(),
        memory_bytes: requested("memory").and_then(Quantity::units).unwrap_or_default(),
    }
}

/// What is to be done about a container; `container` has what it was given.
#[must_use]
pub fn change(container: &Container, record: &ContainerRecord) -> Change {
    let given = container.resources.clone().unwrap_or_default();
    let Some(applied) = &record.applied else { return Change::None };
    let changed = changed(applied, &given);
    let restarts = |name: &&str| {
        container
            .resize_policy
            .iter()
            .any(|p| p.resource_name == **name && p.restart_policy == "RestartContainer")
    };
    match (changed.is_empty(), changed.iter().any(restarts)) {
        (true, _) => Change::None,
        (false, true) => Change::Restart,
        (false, false) => Change::Update,
    }
}

/// The containers whose limits are to be changed while they run.
#[must_use]
pub fn updates(snapshot: &PodSnapshot) -> Vec<String> {
    let waits = |container: &&Container| {
        snapshot.record(container).is_some_and(|record| {
            record.is_running() && record.work.is_none() && change(container, record) == Change::Update
        })
    };
    resizable(snapshot.spec()).filter(waits).map(|container| container.name.clone()).collect()
}

/// Whether some container has not got yet what it was given.
#[must_use]
pub fn in_progress(snapshot: &PodSnapshot) -> bool {
    resizable(snapshot.spec())
        .any(|c| snapshot.record(c).is_some_and(|record| change(c, record) != Change::None))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(resources: Value, policy: Value, status: Value) -> Arc<Pod> {
        let value = json!({
            "spec": {
                "initContainers": [
                    {"name": "first", "resources": {"requests": {"cpu": "3"}}},
                    {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                ],
                "containers": [{"name": "c", "resources": resources, "resizePolicy": policy}],
            },
            "status": {"containerStatuses": status},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn what_a_pod_has_is_read_from_its_status() {
        let status = json!([{"name": "c", "containerID": "containerd://x", "image": "", "imageID": "",
            "ready": true, "restartCount": 0, "allocatedResources": {"cpu": "1"},
            "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}}]);
        let pod =
            pod(json!({"requests": {"cpu": "2", "a.b/c": "1"}, "limits": {"cpu": "2"}}), json!([]), status);
        let given = given(&pod);
        assert_eq!(given.keys().collect::<Vec<_>>(), ["c", "side"]);
        let shown = serde_json::to_value(&given["c"]).unwrap();
        assert_eq!(shown, json!({"requests": {"cpu": "1", "a.b/c": "1"}, "limits": {"memory": "1Gi"}}));
        assert!(!is_same(&given, &wanted(&pod)));
        let as_given = with_allocated(&pod, &given);
        assert!(is_same(&wanted(&as_given), &given));
        assert!(Arc::ptr_eq(&as_given, &with_allocated(&as_given, &given)));
    }

    #[test]
    fn a_pod_asks_for_the_most_that_it_needs_at_once() {
        let small = pod(json!({"limits": {"cpu": "1", "memory": "5"}}), json!([]), json!([]));
        let amounts = requests(small.spec.as_ref().unwrap());
        assert_eq!(amounts, Amounts { cpu_milli: 3000, memory_bytes: 5 });
        let large = pod(json!({"requests": {"cpu": "4"}}), json!([]), json!([]));
        assert_eq!(requests(large.spec.as_ref().unwrap()).cpu_milli, 4500);
    }

    #[test]
    fn the_policy_of_a_resource_decides() {
        let applied = |value| ContainerRecord {
            applied: Some(serde_json::from_value(value).unwrap()),
            ..ContainerRecord::default()
        };
        let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
        let pod = pod(json!({"requests": {"cpu": "1000m", "memory": "1Mi"}}), policy, json!([]));
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let same = applied(json!({"requests": {"cpu": "1", "memory": "1024Ki", "a.b/c": "9"}}));
        assert_eq!(change(container, &same), Change::None);
        let cpu = applied(json!({"requests": {"cpu": "2", "memory": "1Mi"}}));
        assert_eq!(change(container, &cpu), Change::Update);
        let memory = applied(json!({"requests": {"cpu": "2", "memory": "2Mi"}}));
        assert_eq!(change(container, &memory), Change::Restart);
        assert_eq!(change(container, &ContainerRecord::default()), Change::None);
    }
}
