//! What a Service's Endpoints object should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service};
use gantry_api::meta::v1::ObjectMeta;
use gantry_client::PodExt;

use crate::endpointslice;
use crate::pod::Pod;

/// Addresses of one object: more make it too large for the programs that read it.
const CAPACITY: usize = 1000;
/// Says that there are more addresses than the object has.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// Says who keeps the object.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`] for objects of this controller.
const CONTROLLER: &str = "endpoint-controller";
/// The label of a headless Service's object.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What there is.
#[derive(Debug)]
pub struct Snapshot {
    /// The Service, unless it is gone.
    pub service: Option<Arc<Service>>,
    /// The pods that it selects.
    pub pods: Vec<Arc<Pod>>,
    /// The object of its name.
    pub present: Option<Arc<Endpoints>>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create the object.
    Create(Box<Endpoints>),
    /// Write it anew.
    Update(Box<Endpoints>),
    /// Delete it.
    Delete(Arc<Endpoints>),
}

/// What to do so that the object says what the pods are.
#[must_use]
pub fn reconcile(snapshot: &Snapshot) -> Option<Action> {
    let Some(service) = &snapshot.service else {
        // One that somebody else keeps, without a Service, is theirs.
        let ours = |present: &&Arc<Endpoints>| {
            present.meta().labels.get(MANAGED_BY).is_some_and(|manager| manager == CONTROLLER)
        };
        return snapshot.present.as_ref().filter(ours).cloned().map(Action::Delete);
    };
    let spec = service.spec.as_ref()?;
    if spec.selector.is_empty()
        || spec.r#type == "ExternalName"
        || service.meta().deletion_timestamp.is_some()
    {
        return None;
    }
    let mut subsets = subsets(service, &snapshot.pods);
    let truncated = truncate(&mut subsets);
    let mut wanted = match &snapshot.present {
        Some(present) => (**present).clone(),
        None => Endpoints {
            metadata: Some(ObjectMeta {
                name: service.name().to_owned(),
                namespace: service.namespace().to_owned(),
                ..ObjectMeta::default()
            }),
            subsets: Vec::new(),
        },
    };
    wanted.subsets = subsets;
    wanted.meta_mut().labels = labels(service);
    if truncated {
        wanted.meta_mut().annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    } else {
        wanted.meta_mut().annotations.remove(OVER_CAPACITY);
    }
    match &snapshot.present {
        None => Some(Action::Create(Box::new(wanted))),
        Some(present) if **present != wanted => Some(Action::Update(Box::new(wanted))),
        Some(_) => None,
    }
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.meta().labels.clone();
    labels.insert(MANAGED_BY.to_owned(), CONTROLLER.to_owned());
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    } else {
        labels.remove(HEADLESS);
    }
    labels
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().is_none_or(|spec| spec.cluster_ip == "None" || spec.cluster_ip.is_empty())
}

/// The addresses by the ports that they serve.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    type Ports = Vec<(String, i32, String, Option<String>)>;
    let spec = service.spec.clone().unwrap_or_default();
    let publish = spec.publish_not_ready_addresses;
    let mut groups: BTreeMap<Ports, EndpointSubset> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| endpointslice::has_place(pod) && (publish || !pod.is_terminating())) {
        let Some(address) = address(service, pod) else { continue };
        let mut ports: Ports = endpointslice::ports(service, pod)
            .into_iter()
            .map(|port| {
                (
                    port.name.unwrap_or_default(),
                    port.port.unwrap_or(0),
                    port.protocol.unwrap_or_default(),
                    port.app_protocol,
                )
            })
            .collect();
        // Without ports only a headless Service makes sense; of another, this pod has none of the named ports.
        if ports.is_empty() && !(spec.ports.is_empty() && is_headless(service)) {
            continue;
        }
        ports.sort();
        ports.dedup();
        let subset = groups.entry(ports).or_default();
        if publish || pod.is_ready() {
            subset.addresses.push(address);
        } else {
            subset.not_ready_addresses.push(address);
        }
    }
    let order = |addresses: &mut Vec<EndpointAddress>| {
        let uid = |address: &EndpointAddress| {
            address.target_ref.as_ref().map(|target| target.uid.clone()).unwrap_or_default()
        };
        addresses.sort_by(|a, b| (&a.ip, uid(a)).cmp(&(&b.ip, uid(b))));
    };
    groups
        .into_iter()
        .map(|(ports, mut subset)| {
            order(&mut subset.addresses);
            order(&mut subset.not_ready_addresses);
            subset.ports = ports
                .into_iter()
                .map(|(name, port, protocol, app_protocol)| EndpointPort {
                    name,
                    port,
                    protocol,
                    app_protocol,
                })
                .collect();
            subset
        })
        .collect()
}

/// The address of a pod in the Service's first family.
fn address(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let family = endpointslice::families(service).into_iter().next()?;
    let endpoint = endpointslice::endpoint(service, pod, &family, &Default::default());
    Some(EndpointAddress {
        ip: endpoint.addresses.into_iter().next()?,
        target_ref: endpoint.target_ref,
        hostname: endpoint.hostname.unwrap_or_default(),
        node_name: endpoint.node_name,
    })
}

/// Leaves out what exceeds the capacity, of each subset its share, ready addresses last; whether there was any.
fn truncate(subsets: &mut [EndpointSubset]) -> bool {
    let count = |of: fn(&EndpointSubset) -> usize| subsets.iter().map(of).sum::<usize>();
    let (ready, others) = (count(|one| one.addresses.len()), count(|one| one.not_ready_addresses.len()));
    if ready + others <= CAPACITY {
        return false;
    }
    let cuts_ready = ready > CAPACITY;
    let (room, total) = if cuts_ready { (CAPACITY, ready) } else { (CAPACITY - ready, others) };
    let mut left = room;
    for subset in subsets {
        if cuts_ready {
            subset.not_ready_addresses.clear();
        }
        let cut = if cuts_ready { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        cut.truncate((cut.len() * room).div_ceil(total.max(1)).min(left));
        left -= cut.len();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Action, OVER_CAPACITY, Snapshot, reconcile};
    use crate::pod::Pod;
    use gantry_api::Resource;
    use gantry_api::core::v1::{Endpoints, Pod as WholePod, Service};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn service(spec: &Value) -> Arc<Service> {
        let mut service: Service = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "labels": {"team": "a"}},
            "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "ports": [
                {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
            ]}
        }))
        .unwrap();
        let mut whole = serde_json::to_value(&service).unwrap();
        for (key, value) in spec.as_object().into_iter().flatten() {
            whole["spec"][key] = value.clone();
        }
        service.spec = serde_json::from_value(whole["spec"].clone()).unwrap();
        Arc::new(service)
    }

    fn pod(number: usize, ready: bool, port: i32) -> Arc<Pod> {
        let pod: WholePod = serde_json::from_value(json!({
            "metadata": {"name": format!("p{number}"), "namespace": "default", "uid": format!("u{number:05}"),
                "labels": {"app": "web"}},
            "spec": {"nodeName": "n1", "containers": [
                {"name": "c", "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}]}
            ]},
            "status": {"phase": "Running", "podIP": format!("10.244.{}.{}", number / 250, number % 250),
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}
        }))
        .unwrap();
        Arc::new(pod.into())
    }

    fn made(snapshot: &Snapshot) -> Endpoints {
        match reconcile(snapshot) {
            Some(Action::Create(endpoints) | Action::Update(endpoints)) => *endpoints,
            other => panic!("{other:?}"),
        }
    }

    /// Each subset as `ready|not ready:ports`.
    fn text(endpoints: &Endpoints) -> Vec<String> {
        let ips = |list: &[gantry_api::core::v1::EndpointAddress]| {
            list.iter().map(|address| address.ip.clone()).collect::<Vec<_>>().join(",")
        };
        endpoints
            .subsets
            .iter()
            .map(|subset| {
                let ports: Vec<_> =
                    subset.ports.iter().map(|port| format!("{}={}", port.name, port.port)).collect();
                format!("{}|{}:{}", ips(&subset.addresses), ips(&subset.not_ready_addresses), ports.join(","))
            })
            .collect()
    }

    #[test]
    fn addresses_are_grouped_by_their_ports_and_readiness() {
        let pods = vec![pod(2, true, 80), pod(1, true, 80), pod(3, false, 80), pod(4, true, 8080)];
        let mut snapshot = Snapshot { service: Some(service(&json!({}))), pods, present: None };
        let endpoints = made(&snapshot);
        assert_eq!(text(&endpoints), ["10.244.0.1,10.244.0.2|10.244.0.3:http=80", "10.244.0.4|:http=8080"]);
        assert_eq!(endpoints.meta().labels["team"], "a");
        let target = endpoints.subsets[0].addresses[0].target_ref.as_ref().unwrap();
        assert_eq!((target.kind.as_str(), target.name.as_str()), ("Pod", "p1"));
        snapshot.present = Some(Arc::new(endpoints));
        assert_eq!(reconcile(&snapshot), None, "settled");
        snapshot.pods.remove(0);
        assert_eq!(text(&made(&snapshot))[0], "10.244.0.1|10.244.0.3:http=80");
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let mut leaving = (*pod(1, true, 80)).clone();
        leaving.meta_mut().deletion_timestamp = Some(gantry_api::scalars::Time::default());
        let mut finished = (*pod(2, false, 80)).clone();
        finished.status.as_mut().unwrap().phase = "Succeeded".into();
        let mut portless = (*pod(3, true, 80)).clone();
        portless.spec.as_mut().unwrap().containers.clear();
        let pods = vec![Arc::new(leaving), Arc::new(finished), Arc::new(portless)];
        let snapshot =
            |spec: &Value| Snapshot { service: Some(service(spec)), pods: pods.clone(), present: None };
        assert_eq!(text(&made(&snapshot(&json!({})))), [""; 0]);
        let published = snapshot(&json!({"publishNotReadyAddresses": true}));
        assert_eq!(text(&made(&published)), ["10.244.0.1|:http=80"]);
        let headless = made(&snapshot(&json!({"clusterIP": "None", "ports": []})));
        assert_eq!(text(&headless), ["10.244.0.3|:"]);
        assert!(headless.meta().labels.contains_key("service.kubernetes.io/headless"));
        assert_eq!(reconcile(&snapshot(&json!({"selector": {}}))), None);
        assert_eq!(reconcile(&snapshot(&json!({"type": "ExternalName"}))), None);
    }

    #[test]
    fn more_than_a_thousand_are_cut_and_told() {
        let pods: Vec<_> = (0..900)
            .map(|n| pod(n, true, 80))
            .chain((900..1300).map(|n| pod(n, false, 80 + n as i32 % 2)))
            .collect();
        let mut snapshot = Snapshot { service: Some(service(&json!({}))), pods, present: None };
        let endpoints = made(&snapshot);
        let ready: usize = endpoints.subsets.iter().map(|subset| subset.addresses.len()).sum();
        let others: Vec<usize> =
            endpoints.subsets.iter().map(|subset| subset.not_ready_addresses.len()).collect();
        assert_eq!((ready, others), (900, vec![50, 50]));
        assert_eq!(endpoints.meta().annotations[OVER_CAPACITY], "truncated");
        snapshot.pods = (0..1200).map(|n| pod(n, true, 80)).collect();
        snapshot.present = Some(Arc::new(endpoints));
        let endpoints = made(&snapshot);
        assert_eq!((endpoints.subsets[0].addresses.len(), endpoints.subsets.len()), (1000, 1));
        snapshot.pods.truncate(10);
        snapshot.present = Some(Arc::new(endpoints));
        assert!(!made(&snapshot).meta().annotations.contains_key(OVER_CAPACITY));
    }

    #[test]
    fn an_object_without_its_service_goes_if_it_is_ours() {
        let mut snapshot =
            Snapshot { service: Some(service(&json!({}))), pods: vec![pod(1, true, 80)], present: None };
        let ours = Arc::new(made(&snapshot));
        snapshot.service = None;
        snapshot.present = Some(ours.clone());
        assert_eq!(reconcile(&snapshot), Some(Action::Delete(ours)));
        snapshot.present = Some(Arc::new(Endpoints::default()));
        assert_eq!(reconcile(&snapshot), None);
    }
}
