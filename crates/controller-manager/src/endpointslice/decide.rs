//! Which slices to create, change and delete, touching as few as possible.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use gantry_api::meta::v1::ObjectMeta;
use gantry_client::controller_reference;

use crate::pod::Pod;

use super::{CONTROLLER, MANAGED_BY, SERVICE_NAME, endpoint};

/// Endpoints per slice: a change of one must not send all.
const MAX_ENDPOINTS: usize = 100;
/// The label that a headless Service's slices carry.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What there is.
#[derive(Debug)]
pub struct Snapshot {
    /// The Service, unless it is gone.
    pub service: Option<Arc<Service>>,
    /// The pods that it selects.
    pub pods: Vec<Arc<Pod>>,
    /// Its slices that this controller keeps.
    pub slices: Vec<Arc<EndpointSlice>>,
    /// The zones of nodes.
    pub zones: HashMap<String, String>,
}

/// What to do. The order does not matter.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create a slice; its name is its `generateName` and something unique.
    Create(Box<EndpointSlice>),
    /// Write a slice anew.
    Update(Box<EndpointSlice>),
    /// Delete a slice.
    Delete(Arc<EndpointSlice>),
}

/// Whether a Service selects a pod. One without a selector has its endpoints from elsewhere.
pub(crate) fn selects(service: &Service, pod: &Pod) -> bool {
    let Some(spec) = &service.spec else { return false };
    !spec.selector.is_empty()
        && spec.selector.iter().all(|(key, value)| pod.meta().labels.get(key) == Some(value))
}

/// What a slice is for: a family of addresses, and ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    family: String,
    ports: Vec<(String, String, i32, Option<String>)>,
}

impl Group {
    fn new(family: &str, ports: &[EndpointPort]) -> Self {
        let mut ports: Vec<_> = ports
            .iter()
            .map(|port| {
                (
                    port.name.clone().unwrap_or_default(),
                    port.protocol.clone().unwrap_or_default(),
                    port.port.unwrap_or(0),
                    port.app_protocol.clone(),
                )
            })
            .collect();
        ports.sort();
        Self { family: family.to_owned(), ports }
    }
}

/// The endpoints of a group by the uids of their pods, and its ports as slices have them.
type Wanted = BTreeMap<Group, (Vec<EndpointPort>, BTreeMap<String, Endpoint>)>;

/// What to do so that the slices say what the pods are.
#[must_use]
pub fn reconcile(snapshot: &Snapshot) -> Vec<Action> {
    let service = match &snapshot.service {
        Some(service) if service.meta().deletion_timestamp.is_none() && has_endpoints(service) => service,
        _ => return snapshot.slices.iter().cloned().map(Action::Delete).collect(),
    };
    let mut wanted = wanted(service, snapshot);
    let mut slices: BTreeMap<Group, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    let mut actions = Vec::new();
    for slice in &snapshot.slices {
        let group = Group::new(&slice.address_type, &slice.ports);
        if wanted.contains_key(&group) {
            slices.entry(group).or_default().push(slice.clone());
        } else {
            actions.push(Action::Delete(slice.clone()));
        }
    }
    while let Some((group, (ports, endpoints))) = wanted.pop_first() {
        let mut present = slices.remove(&group).unwrap_or_default();
        present.sort_by(|a, b| a.name().cmp(b.name()));
        fill(service, &group.family, &ports, endpoints, &present, &mut actions);
    }
    actions
}

fn has_endpoints(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| !spec.selector.is_empty() && spec.r#type != "ExternalName")
}

fn wanted(service: &Service, snapshot: &Snapshot) -> Wanted {
    let mut wanted = Wanted::new();
    for family in families(service) {
        for pod in snapshot.pods.iter().filter(|pod| endpoint::has_place(pod)) {
            let endpoint = endpoint::endpoint(service, pod, &family, &snapshot.zones);
            if endpoint.addresses.is_empty() {
                continue;
            }
            let ports = endpoint::ports(service, pod);
            let (_, endpoints) =
                wanted.entry(Group::new(&family, &ports)).or_insert_with(|| (ports, BTreeMap::new()));
            endpoints.insert(pod.meta().uid.clone(), endpoint);
        }
        // A Service without pods has a slice too: it says that there are none.
        if !wanted.keys().any(|group| group.family == family) {
            wanted.insert(Group::new(&family, &[]), (Vec::new(), BTreeMap::new()));
        }
    }
    wanted
}

/// The families of addresses that a Service has.
pub(crate) fn families(service: &Service) -> Vec<String> {
    let spec = service.spec.clone().unwrap_or_default();
    if !spec.ip_families.is_empty() {
        return spec.ip_families;
    }
    let family = if spec.cluster_ip.contains(':') { "IPv6" } else { "IPv4" };
    vec![family.to_owned()]
}

/// Distributes a group's endpoints over its slices: what is in a slice stays there, what is new goes where there is
/// room, in slices that change anyway first; slices that become empty go, save the last.
fn fill(
    service: &Arc<Service>,
    family: &str,
    ports: &[EndpointPort],
    mut wanted: BTreeMap<String, Endpoint>,
    present: &[Arc<EndpointSlice>],
    actions: &mut Vec<Action>,
) {
    let mut kept: Vec<(bool, Vec<Endpoint>)> = present
        .iter()
        .map(|slice| {
            let endpoints: Vec<Endpoint> =
                slice.endpoints.iter().filter_map(|endpoint| wanted.remove(uid(endpoint))).collect();
            (endpoints != slice.endpoints, endpoints)
        })
        .collect();
    let mut new: Vec<Endpoint> = wanted.into_values().collect();
    for first_changed in [true, false] {
        for (changed, endpoints) in kept.iter_mut().filter(|(changed, _)| *changed == first_changed) {
            let room = MAX_ENDPOINTS.saturating_sub(endpoints.len()).min(new.len());
            if room > 0 {
                endpoints.extend(new.drain(..room));
                *changed = true;
            }
        }
    }
    let empty_service = new.is_empty() && kept.iter().all(|(_, endpoints)| endpoints.is_empty());
    let mut placeholder = empty_service;
    for (slice, (changed, endpoints)) in present.iter().zip(kept) {
        if endpoints.is_empty() && !std::mem::take(&mut placeholder) {
            actions.push(Action::Delete(slice.clone()));
            continue;
        }
        let labels = labels(service, &slice.meta().labels);
        if changed || labels != slice.meta().labels {
            let mut slice = (**slice).clone();
            slice.meta_mut().labels = labels;
            slice.endpoints = endpoints;
            actions.push(Action::Update(Box::new(slice)));
        }
    }
    for endpoints in new.chunks(MAX_ENDPOINTS) {
        actions.push(Action::Create(Box::new(slice(service, family, ports, endpoints.to_vec()))));
    }
    if placeholder {
        actions.push(Action::Create(Box::new(slice(service, family, ports, Vec::new()))));
    }
}

fn uid(endpoint: &Endpoint) -> &str {
    endpoint.target_ref.as_ref().map_or("", |target| &target.uid)
}

fn slice(service: &Service, family: &str, ports: &[EndpointPort], endpoints: Vec<Endpoint>) -> EndpointSlice {
    EndpointSlice {
        metadata: Some(ObjectMeta {
            generate_name: format!("{}-", service.name()),
            namespace: service.namespace().to_owned(),
            labels: labels(service, &BTreeMap::new()),
            owner_references: vec![controller_reference(service)],
            ..ObjectMeta::default()
        }),
        address_type: family.to_owned(),
        ports: ports.to_vec(),
        endpoints,
    }
}

/// The Service's labels, and those that say whose slice it is.
fn labels(service: &Service, present: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = service.meta().labels.clone();
    labels.remove(HEADLESS);
    // Labels that others put on the slice stay.
    for (key, value) in present.iter().filter(|(key, _)| *key != HEADLESS) {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    labels.insert(SERVICE_NAME.to_owned(), service.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    if service.spec.as_ref().is_some_and(|spec| spec.cluster_ip == "None") {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::{Action, Snapshot, reconcile};
    use crate::pod::{Container, Pod, PodSpec, PodStatus};
    use gantry_api::Resource;
    use gantry_api::core::v1::{ContainerPort, PodCondition, Service, ServicePort, ServiceSpec};
    use gantry_api::discovery::v1::EndpointSlice;
    use gantry_api::scalars::Time;
    use std::sync::Arc;

    fn service(target: &str) -> Arc<Service> {
        let port = ServicePort { port: 80, target_port: Some(target.into()), ..Default::default() };
        let mut service = Service {
            spec: Some(ServiceSpec {
                selector: [("app".to_owned(), "web".to_owned())].into(),
                ports: vec![port],
                cluster_ip: "10.96.0.1".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        service.meta_mut().name = "web".into();
        service.meta_mut().namespace = "default".into();
        Arc::new(service)
    }

    fn pod(number: usize, ready: bool, port: i32) -> Arc<Pod> {
        let name = format!("web-{number}");
        let ports = vec![ContainerPort { name: "http".into(), container_port: port, ..Default::default() }];
        let condition = PodCondition {
            r#type: "Ready".into(),
            status: if ready { "True" } else { "False" }.into(),
            ..Default::default()
        };
        let mut pod = Pod {
            spec: Some(PodSpec {
                node_name: "n1".into(),
                containers: vec![Container { ports }],
                ..Default::default()
            }),
            status: Some(PodStatus {
                phase: "Running".into(),
                pod_ip: format!("10.244.{}.{}", number / 250, number % 250 + 1),
                conditions: vec![condition],
                ..Default::default()
            }),
            ..Default::default()
        };
        pod.meta_mut().name.clone_from(&name);
        pod.meta_mut().uid = name;
        pod.meta_mut().namespace = "default".into();
        Arc::new(pod)
    }

    fn snapshot(pods: Vec<Arc<Pod>>, slices: Vec<EndpointSlice>) -> Snapshot {
        Snapshot {
            service: Some(service("http")),
            pods,
            slices: slices.into_iter().map(Arc::new).collect(),
            zones: [("n1".to_owned(), "z1".to_owned())].into(),
        }
    }

    /// Carries the actions out, names slices, and returns how many of each there were.
    fn settle(snapshot: &mut Snapshot) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for action in reconcile(snapshot) {
            match action {
                Action::Create(mut slice) => {
                    counts.0 += 1;
                    slice.meta_mut().name = format!("web-{}", snapshot.slices.len());
                    snapshot.slices.push(Arc::new(*slice));
                }
                Action::Update(slice) => {
                    counts.1 += 1;
                    snapshot.slices.retain(|present| present.name() != slice.name());
                    snapshot.slices.push(Arc::new(*slice));
                }
                Action::Delete(slice) => {
                    counts.2 += 1;
                    snapshot.slices.retain(|present| present.name() != slice.name());
                }
            }
        }
        assert_eq!(reconcile(snapshot), [], "settled");
        counts
    }

    #[test]
    fn conditions_follow_the_pods() {
        let mut leaving = (*pod(2, true, 80)).clone();
        leaving.meta_mut().deletion_timestamp = Some(Time::default());
        let mut finished = (*pod(3, false, 80)).clone();
        finished.status.as_mut().unwrap().phase = "Failed".into();
        let pods = vec![pod(0, true, 80), pod(1, false, 80), Arc::new(leaving), Arc::new(finished)];
        let mut snapshot = snapshot(pods, vec![]);
        assert_eq!(settle(&mut snapshot), (1, 0, 0));
        let slice = &snapshot.slices[0];
        let facts: Vec<_> = slice
            .endpoints
            .iter()
            .map(|endpoint| {
                let conditions = endpoint.conditions.as_ref().unwrap();
                (conditions.ready.unwrap(), conditions.serving.unwrap(), conditions.terminating.unwrap())
            })
            .collect();
        assert_eq!(facts, [(true, true, false), (false, false, false), (false, true, true)]);
        assert_eq!(slice.endpoints[0].zone.as_deref(), Some("z1"));
        assert_eq!((slice.ports[0].port, slice.address_type.as_str()), (Some(80), "IPv4"));
        assert_eq!(slice.meta().labels[super::SERVICE_NAME], "web");
    }

    #[test]
    fn pods_with_other_port_numbers_have_other_slices() {
        let mut snapshot = snapshot(vec![pod(0, true, 80), pod(1, true, 8080)], vec![]);
        assert_eq!(settle(&mut snapshot), (2, 0, 0));
    }

    #[test]
    fn a_change_touches_one_slice_only() {
        let mut snapshot = snapshot((0..250).map(|number| pod(number, true, 80)).collect(), vec![]);
        assert_eq!(settle(&mut snapshot), (3, 0, 0));
        assert!(snapshot.slices.iter().all(|slice| slice.endpoints.len() <= 100));
        snapshot.pods[7] = pod(7, false, 80);
        assert_eq!(settle(&mut snapshot), (0, 1, 0));
        snapshot.pods.push(pod(300, true, 80));
        assert_eq!(settle(&mut snapshot), (0, 1, 0));
    }

    #[test]
    fn a_service_without_pods_has_an_empty_slice() {
        let mut snapshot = snapshot(vec![], vec![]);
        assert_eq!(settle(&mut snapshot), (1, 0, 0));
        assert!(snapshot.slices[0].endpoints.is_empty());
        snapshot.service = None;
        assert_eq!(settle(&mut snapshot), (0, 0, 1));
    }

    #[test]
    fn unready_pods_are_published_where_the_service_asks() {
        let mut service = (*service("http")).clone();
        service.spec.as_mut().unwrap().publish_not_ready_addresses = true;
        let mut snapshot = snapshot(vec![pod(0, false, 80)], vec![]);
        snapshot.service = Some(Arc::new(service));
        settle(&mut snapshot);
        assert_eq!(snapshot.slices[0].endpoints[0].conditions.as_ref().unwrap().ready, Some(true));
    }
}
