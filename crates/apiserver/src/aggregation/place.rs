//! Where the Service of an APIService is: at its ready endpoints, or where its external name leads.
//!
//! The server may run where no proxy makes the cluster's addresses work, so it does what a proxy does.

use std::net::SocketAddr;

use gantry_api::Resource as _;
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;

/// Where a Service is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// At these addresses, in their order.
    Addresses(Vec<SocketAddr>),
    /// Where the name leads.
    Name(String, u16),
}

/// Where a Service is that listens on a port.
pub(super) fn find(service: &Service, slices: &[EndpointSlice], port: i32) -> Result<Place, String> {
    let spec = service.spec.clone().unwrap_or_default();
    let number = |port: i32| u16::try_from(port).map_err(|_| format!("{port} is no port"));
    if spec.r#type == "ExternalName" {
        return Ok(Place::Name(spec.external_name, number(port)?));
    }
    let name = service.name();
    let found = spec.ports.iter().find(|one| one.port == port);
    let found = found.ok_or_else(|| format!("no service port {port} found for service {name:?}"))?;
    let mut addresses = Vec::new();
    for slice in slices {
        let Some(port) = slice.ports.iter().find(|one| one.name.as_deref().unwrap_or_default() == found.name)
        else {
            continue;
        };
        let Some(number) = port.port.and_then(|port| u16::try_from(port).ok()) else { continue };
        let ready = slice.endpoints.iter().filter(|endpoint| is_ready(endpoint));
        let parsed = ready.flat_map(|endpoint| &endpoint.addresses).filter_map(|ip| ip.parse().ok());
        addresses.extend(parsed.map(|ip| SocketAddr::new(ip, number)));
    }
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(format!("no endpoints available for service {name:?}"));
    }
    Ok(Place::Addresses(addresses))
}

/// Whether requests may be sent there: those that say nothing are.
pub(super) fn is_ready(endpoint: &gantry_api::discovery::v1::Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(spec: serde_json::Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": spec})).unwrap()
    }

    #[test]
    fn ready_endpoints_are_found_by_the_name_of_the_port() {
        let service =
            service(json!({"ports": [{"name": "web", "port": 443}, {"name": "other", "port": 81}]}));
        let slice = |port: &str, endpoints: serde_json::Value| -> EndpointSlice {
            let ports = json!([{"name": port, "port": 8443}]);
            serde_json::from_value(json!({"addressType": "IPv4", "endpoints": endpoints, "ports": ports}))
                .unwrap()
        };
        let slices = [
            slice(
                "web",
                json!([
                    {"addresses": ["10.0.0.2"]},
                    {"addresses": ["10.0.0.3"], "conditions": {"ready": false}},
                    {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                ]),
            ),
            slice("x", json!([{"addresses": ["10.0.0.4"]}])),
        ];
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let wanted = Place::Addresses(vec![at("10.0.0.1:8443"), at("10.0.0.2:8443")]);
        assert_eq!(find(&service, &slices, 443), Ok(wanted));
        let none = "no endpoints available for service \"s\"".to_owned();
        assert_eq!(find(&service, &slices, 81), Err(none));
        let none = "no service port 80 found for service \"s\"".to_owned();
        assert_eq!(find(&service, &slices, 80), Err(none));
    }

    #[test]
    fn an_external_name_leads_elsewhere() {
        let service = service(json!({"type": "ExternalName", "externalName": "a.example"}));
        assert_eq!(find(&service, &[], 443), Ok(Place::Name("a.example".to_owned(), 443)));
    }
}
