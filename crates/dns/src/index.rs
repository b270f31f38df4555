//! The records of every service, by service. Rebuilt service by service as their objects change.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;

/// The label that names an EndpointSlice's service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A named port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its name; empty where the service's only port has none.
    pub name: String,
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// Its number.
    pub number: u16,
}

/// An address behind a headless service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The label below the service's name: the hostname, or one made of the address.
    pub label: String,
    /// Whether `label` is a hostname that the pod asked for.
    pub named: bool,
    /// Its address.
    pub address: IpAddr,
    /// Its ports.
    pub ports: Arc<[Port]>,
}

/// What the names of a service stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceRecords {
    /// Virtual addresses.
    Cluster {
        /// The addresses.
        addresses: Vec<IpAddr>,
        /// The service's ports.
        ports: Vec<Port>,
    },
    /// The addresses of the endpoints.
    Headless {
        /// The endpoints that are ready, or that are published whether ready or not.
        endpoints: Vec<Endpoint>,
    },
    /// Another name.
    External {
        /// The name.
        target: String,
    },
}

/// Namespace and name of a service.
pub type ServiceKey = (String, String);

/// The records of all services.
#[derive(Debug, Clone, Default)]
pub struct Index {
    namespaces: HashMap<String, HashMap<String, ServiceRecords>>,
    reverse: HashMap<IpAddr, BTreeMap<ServiceKey, Option<String>>>,
}

impl Index {
    /// Replaces the records of one service; `None` where it is gone.
    pub fn set(&mut self, key: &ServiceKey, records: Option<ServiceRecords>) {
        let old = self.namespaces.get_mut(&key.0).and_then(|services| services.remove(&key.1));
        for (address, _) in old.iter().flat_map(pointers) {
            if let Some(keys) = self.reverse.get_mut(&address) {
                keys.remove(key);
                if keys.is_empty() {
                    self.reverse.remove(&address);
                }
            }
        }
        match records {
            Some(records) => {
                for (address, label) in pointers(&records) {
                    self.reverse.entry(address).or_default().insert(key.clone(), label);
                }
                self.namespaces.entry(key.0.clone()).or_default().insert(key.1.clone(), records);
            }
            None if self.namespaces.get(&key.0).is_some_and(HashMap::is_empty) => {
                self.namespaces.remove(&key.0);
            }
            None => {}
        }
    }

    /// The records of one service.
    #[must_use]
    pub fn service(&self, namespace: &str, name: &str) -> Option<&ServiceRecords> {
        self.namespaces.get(namespace)?.get(name)
    }

    /// Whether a namespace has services.
    #[must_use]
    pub fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// The services that an address belongs to, with the label of the endpoint where it is one.
    pub fn reverse(&self, address: IpAddr) -> impl Iterator<Item = (&ServiceKey, Option<&str>)> {
        self.reverse.get(&address).into_iter().flatten().map(|(key, label)| (key, label.as_deref()))
    }

    /// Namespace and name of every service.
    pub fn keys(&self) -> impl Iterator<Item = ServiceKey> {
        self.namespaces
            .iter()
            .flat_map(|(namespace, services)| services.keys().map(|name| (namespace.clone(), name.clone())))
    }

    /// How many services there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.namespaces.values().map(HashMap::len).sum()
    }

    /// Whether there is no service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }
}

/// The addresses that point back to a service. Endpoints without a hostname do so under the service's name.
fn pointers(records: &ServiceRecords) -> Vec<(IpAddr, Option<String>)> {
    match records {
        ServiceRecords::Cluster { addresses, .. } => {
            addresses.iter().map(|address| (*address, None)).collect()
        }
        ServiceRecords::Headless { endpoints } => {
            endpoints.iter().map(|endpoint| (endpoint.address, Some(endpoint.label.clone()))).collect()
        }
        ServiceRecords::External { .. } => Vec::new(),
    }
}

/// The records of a service with its slices.
#[must_use]
pub fn records<'a>(
    service: &Service,
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> Option<ServiceRecords> {
    let spec = service.spec.as_ref()?;
    if spec.r#type == "ExternalName" {
        return Some(ServiceRecords::External {
            target: spec.external_name.trim_end_matches('.').to_owned(),
        });
    }
    if spec.cluster_ip == "None" {
        return Some(ServiceRecords::Headless {
            endpoints: endpoints(spec.publish_not_ready_addresses, slices),
        });
    }
    let mut addresses: Vec<IpAddr> = spec.cluster_ips.iter().filter_map(|ip| ip.parse().ok()).collect();
    if addresses.is_empty() {
        addresses.extend(spec.cluster_ip.parse::<IpAddr>().ok());
    }
    let ports =
        spec.ports.iter().filter_map(|port| self::port(&port.name, &port.protocol, port.port)).collect();
    (!addresses.is_empty()).then_some(ServiceRecords::Cluster { addresses, ports })
}

fn endpoints<'a>(not_ready_too: bool, slices: impl Iterator<Item = &'a EndpointSlice>) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for slice in slices {
        let ports: Arc<[Port]> = slice
            .ports
            .iter()
            .filter_map(|p| {
                let (name, protocol) =
                    (p.name.as_deref().unwrap_or(""), p.protocol.as_deref().unwrap_or("TCP"));
                port(name, protocol, p.port?)
            })
            .collect();
        for endpoint in &slice.endpoints {
            // An absent condition means ready.
            let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
            if !ready && !not_ready_too {
                continue;
            }
            let hostname = endpoint.hostname.as_deref().filter(|hostname| !hostname.is_empty());
            for address in endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok()) {
                let label = hostname.map_or_else(|| dashed(address), str::to_ascii_lowercase);
                endpoints.push(Endpoint {
                    label,
                    named: hostname.is_some(),
                    address,
                    ports: Arc::clone(&ports),
                });
            }
        }
    }
    endpoints.sort_by_key(|endpoint| endpoint.address);
    endpoints.dedup_by(|a, b| a.address == b.address && a.label == b.label && a.ports == b.ports);
    endpoints
}

fn port(name: &str, protocol: &str, number: i32) -> Option<Port> {
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_ascii_lowercase() };
    Some(Port { name: name.to_ascii_lowercase(), protocol, number: u16::try_from(number).ok()? })
}

/// The label of an address: `10-1-2-3`.
#[must_use]
pub fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

/// The service that a slice belongs to.
#[must_use]
pub fn service_of(slice: &EndpointSlice) -> Option<ServiceKey> {
    let name = slice.meta().labels.get(SERVICE_NAME)?;
    Some((slice.namespace().to_owned(), name.clone()))
}
