//! What every cluster has from its first second: the system's namespaces, priority classes, the `kubernetes` Service
//! and the default roles.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Namespace, Service, ServicePort, ServiceSpec,
};
use gantry_api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort as SlicePort, EndpointSlice};
use gantry_api::meta::v1::{Condition, CreateOptions, UpdateOptions};
use gantry_api::networking::v1::{ServiceCidr, ServiceCidrSpec};
use gantry_api::scalars::{IntOrString, Time};
use gantry_api::scheduling::v1::PriorityClass;
use gantry_api::strategy::Strategy;
use tokio_util::sync::CancellationToken;

use crate::aggregation::Published;
use crate::authorization::Authorizer;
use crate::authorization::bootstrap::{Defaults, reconcile};
use crate::status::{ApiError, Reason};
use crate::verbs::{Next, Target, Verbs};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// The classes of what a cluster runs for itself (`scheduling.k8s.io`, system priority classes).
const PRIORITY_CLASSES: [(&str, i32, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];
/// The Service of the API server itself.
const SERVICE: &str = "kubernetes";
const NAMESPACE: &str = "default";
/// How often the endpoints are written again if somebody has changed them.
const INTERVAL: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(200);

/// Makes what is missing, and keeps it so until the token is cancelled.
pub(crate) async fn run(
    verbs: &Verbs,
    authorizer: &Authorizer,
    defaults: &Defaults,
    published: &Published,
    shutdown: CancellationToken,
) {
    loop {
        let made = async {
            ensure(verbs).await?;
            published.ensure(verbs).await?;
            // Once: what an administrator takes away later stays away until the next start.
            if !authorizer.is_settled() {
                reconcile(verbs, defaults).await?;
                authorizer.settle();
            }
            Ok::<_, ApiError>(())
        };
        let pause = match made.await {
            Ok(()) => INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "the cluster's own objects cannot be made yet");
                RETRY
            }
        };
        if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// Makes what is missing, once.
pub async fn ensure(verbs: &Verbs) -> Result<(), ApiError> {
    for name in NAMESPACES {
        ensure_one(verbs, named(Namespace::default(), "", name), false).await?;
    }
    for (name, value, description) in PRIORITY_CLASSES {
        let class = PriorityClass {
            value,
            description: description.to_owned(),
            preemption_policy: Some("PreemptLowerPriority".to_owned()),
            ..named(PriorityClass::default(), "", name)
        };
        ensure_one(verbs, class, false).await?;
    }
    ensure_range(verbs).await?;
    let settings = verbs.settings();
    let (address, port) = settings.advertise;
    let service = Service {
        spec: Some(ServiceSpec {
            r#type: "ClusterIP".to_owned(),
            cluster_ip: first_address(settings.service_cidr),
            session_affinity: "None".to_owned(),
            ports: vec![ServicePort {
                name: "https".to_owned(),
                protocol: "TCP".to_owned(),
                port: 443,
                target_port: Some(IntOrString::from(i32::from(port))),
                ..ServicePort::default()
            }],
            ..ServiceSpec::default()
        }),
        ..named(Service::default(), NAMESPACE, SERVICE)
    };
    ensure_one(verbs, labelled(service, "component", "apiserver"), false).await?;
    let endpoints = Endpoints {
        subsets: vec![EndpointSubset {
            addresses: vec![EndpointAddress { ip: address.to_string(), ..EndpointAddress::default() }],
            ports: vec![EndpointPort {
                name: "https".to_owned(),
                port: i32::from(port),
                protocol: "TCP".to_owned(),
                ..EndpointPort::default()
            }],
            ..EndpointSubset::default()
        }],
        ..named(Endpoints::default(), NAMESPACE, SERVICE)
    };
    let endpoints = labelled(endpoints, "endpointslice.kubernetes.io/skip-mirror", "true");
    ensure_one(verbs, endpoints, true).await?;
    let slice = EndpointSlice {
        address_type: if address.is_ipv6() { "IPv6" } else { "IPv4" }.to_owned(),
        endpoints: vec![Endpoint {
            addresses: vec![address.to_string()],
            conditions: Some(EndpointConditions { ready: Some(true), ..EndpointConditions::default() }),
            ..Endpoint::default()
        }],
        ports: vec![SlicePort {
            name: Some("https".to_owned()),
            protocol: Some("TCP".to_owned()),
            port: Some(i32::from(port)),
            ..SlicePort::default()
        }],
        ..named(EndpointSlice::default(), NAMESPACE, SERVICE)
    };
    ensure_one(verbs, labelled(slice, "kubernetes.io/service-name", SERVICE), true).await
}

/// Makes the range that services get their addresses from, and says that it is ready if it is this server's.
async fn ensure_range(verbs: &Verbs) -> Result<(), ApiError> {
    let cidrs = vec![verbs.settings().service_cidr.trunc().to_string()];
    let spec = Some(ServiceCidrSpec { cidrs: cidrs.clone() });
    ensure_one(verbs, ServiceCidr { spec, ..named(ServiceCidr::default(), "", SERVICE) }, false).await?;
    let target = Target {
        kind: <ServiceCidr as Resource>::kind(),
        namespace: String::new(),
        name: SERVICE.to_owned(),
    };
    let said = verbs.modify(&target, false, |old| {
        let Some(range) = old.downcast_ref::<ServiceCidr>() else { return Ok(Next::Keep) };
        let conditions = range.status.iter().flat_map(|status| &status.conditions);
        let known = conditions.into_iter().any(|condition| condition.r#type == "Ready");
        let same = range.spec.as_ref().is_some_and(|spec| spec.cidrs == cidrs);
        if known || !same || old.meta().deletion_timestamp.is_some() {
            return Ok(Next::Keep);
        }
        let mut new = range.clone();
        new.status.get_or_insert_default().conditions.push(Condition {
            r#type: "Ready".to_owned(),
            status: "True".to_owned(),
            message: "Kubernetes default Service CIDR is ready".to_owned(),
            last_transition_time: Some(Time::now()),
            ..Condition::default()
        });
        Ok(Next::Put(Box::new(new)))
    });
    said.await.map(drop)
}

fn named<T: Resource>(mut object: T, namespace: &str, name: &str) -> T {
    let meta = object.meta_mut();
    namespace.clone_into(&mut meta.namespace);
    name.clone_into(&mut meta.name);
    object
}

fn labelled<T: Resource>(mut object: T, key: &str, value: &str) -> T {
    object.meta_mut().labels.insert(key.to_owned(), value.to_owned());
    object
}

/// Creates an object that is not there. One that is there is left alone, or made what it must be.
async fn ensure_one<T: Strategy>(verbs: &Verbs, object: T, exactly: bool) -> Result<(), ApiError> {
    let target = Target {
        kind: <T as Resource>::kind(),
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
    };
    let found = verbs.get(&target, &gantry_api::meta::v1::GetOptions::default()).await;
    match found {
        Ok(_) if !exactly => return Ok(()),
        Ok(_) => {
            return verbs.update(&target, None, Box::new(object), &updating()).await.map(drop);
        }
        Err(error) if error.reason() == Reason::NotFound => {}
        Err(error) => return Err(error),
    }
    match verbs.create(&target, Box::new(object), &creating()).await {
        Ok(_) => Ok(()),
        // Another server was faster.
        Err(error) if error.reason() == Reason::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Who manages what the server writes of its own accord.
const MANAGER: &str = "gantry-apiserver";

/// The options of the server's own creates.
pub(crate) fn creating() -> CreateOptions {
    CreateOptions { field_manager: MANAGER.to_owned(), ..CreateOptions::default() }
}

/// The options of the server's own updates.
pub(crate) fn updating() -> UpdateOptions {
    UpdateOptions { field_manager: MANAGER.to_owned(), ..UpdateOptions::default() }
}

fn first_address(range: ipnet::IpNet) -> String {
    range.hosts().next().unwrap_or_else(|| range.network()).to_string()
}
