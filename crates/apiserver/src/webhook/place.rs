//! Where a Service is that is a webhook: at one of its ready endpoints.
//!
//! A server may run where no proxy makes the cluster's addresses work, so it does what a proxy does.

use std::net::SocketAddr;

use gantry_api::Resource;
use gantry_api::core::v1::{Endpoints, Service as Object};

use super::endpoint::Service;
use crate::verbs::Verbs;

/// The ready endpoints, in an order by chance.
pub(super) fn of_service(verbs: &Verbs, service: &Service) -> Result<Vec<SocketAddr>, String> {
    let object: Object =
        cached(verbs, service)?.ok_or_else(|| format!("service {:?} not found", service.name))?;
    if service.namespace == "default" && service.name == "kubernetes" {
        return Ok(vec![verbs.settings().advertise.into()]);
    }
    let endpoints: Option<Endpoints> = cached(verbs, service)?;
    let mut found = ready(&object, service, &endpoints.unwrap_or_default())?;
    let count = found.len();
    if count > 1 {
        found.rotate_left(rand::random_range(0..count));
    }
    Ok(found)
}

fn cached<T: Resource>(verbs: &Verbs, service: &Service) -> Result<Option<T>, String> {
    let cache = verbs.cache(T::kind()).map_err(|error| error.to_string())?;
    let Some(entry) = cache.peek(&format!("{}/{}", service.namespace, service.name)) else { return Ok(None) };
    T::decode(entry.bytes()).map(Some).map_err(|error| error.to_string())
}

fn ready(object: &Object, service: &Service, endpoints: &Endpoints) -> Result<Vec<SocketAddr>, String> {
    let spec = object.spec.clone().unwrap_or_default();
    let Some(port) = spec.ports.iter().find(|port| port.port == service.port) else {
        return Err(format!("no service port {} found for service {:?}", service.port, service.name));
    };
    let mut found = Vec::new();
    for subset in &endpoints.subsets {
        let Some(port) = subset.ports.iter().find(|one| one.name == port.name) else { continue };
        let Ok(number) = u16::try_from(port.port) else { continue };
        let addresses = subset.addresses.iter().filter_map(|address| address.ip.parse().ok());
        found.extend(addresses.map(|ip| SocketAddr::new(ip, number)));
    }
    if found.is_empty() {
        return Err(format!("no endpoints available for service {:?}", service.name));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_port_is_found_by_its_name() {
        let object: Object = serde_json::from_value(json!({
            "metadata": {"name": "s"}, "spec": {"ports": [{"name": "web", "port": 443}, {"port": 81}]},
        }))
        .unwrap();
        let endpoints: Endpoints = serde_json::from_value(json!({"subsets": [{
            "addresses": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "notReadyAddresses": [{"ip": "10.0.0.2"}],
            "ports": [{"name": "web", "port": 8443}],
        }]}))
        .unwrap();
        let at = |port| {
            let service = Service { namespace: "n".to_owned(), name: "s".to_owned(), port };
            ready(&object, &service, &endpoints)
        };
        assert_eq!(at(443).unwrap(), ["10.0.0.1:8443".parse().unwrap(), "[fd00::1]:8443".parse().unwrap()]);
        assert_eq!(at(80).unwrap_err(), "no service port 80 found for service \"s\"");
        assert_eq!(at(81).unwrap_err(), "no endpoints available for service \"s\"");
    }
}
