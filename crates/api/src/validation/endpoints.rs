//! Endpoints and endpoint slices.

use super::{
    common::{check, enumerated, immutable, required, required_enumerated},
    names::{self, Problems},
};
use crate::core::v1::Endpoints;
use crate::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use crate::field::{Error, ErrorList, Path};

const MAX_ADDRESSES: usize = 100;
const MAX_ENDPOINTS: usize = 1000;
const MAX_PORTS: usize = 20_000;

pub(crate) fn endpoints(endpoints: &Endpoints) -> ErrorList {
    let mut errors = ErrorList::new();
    for (i, subset) in endpoints.subsets.iter().enumerate() {
        let path = Path::new("subsets").index(i);
        if subset.addresses.is_empty() && subset.not_ready_addresses.is_empty() {
            errors.push(Error::required(path.clone(), "must specify `addresses` or `notReadyAddresses`"));
        }
        for (field, addresses) in
            [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)]
        {
            for (i, address) in addresses.iter().enumerate() {
                let path = path.child(field).index(i);
                check(&mut errors, &path.child("ip"), &address.ip, names::endpoint_ip(&address.ip));
                if !address.hostname.is_empty() {
                    let problems = names::dns1123_label(&address.hostname);
                    check(&mut errors, &path.child("hostname"), &address.hostname, problems);
                }
            }
        }
        for (i, port) in subset.ports.iter().enumerate() {
            let path = path.child("ports").index(i);
            if !port.name.is_empty() {
                check(&mut errors, &path.child("name"), &port.name, names::dns1123_label(&port.name));
            } else if subset.ports.len() > 1 {
                errors.push(Error::required(path.child("name"), ""));
            }
            let problems = names::port_number(port.port);
            errors.extend(problems.into_iter().map(|p| Error::invalid(path.child("port"), port.port, p)));
            required_enumerated(
                &mut errors,
                &path.child("protocol"),
                &port.protocol,
                "core.v1.EndpointPort.protocol",
            );
        }
    }
    errors
}

pub(crate) fn slice(slice: &EndpointSlice) -> ErrorList {
    let mut errors = ErrorList::new();
    required_enumerated(
        &mut errors,
        &Path::new("addressType"),
        &slice.address_type,
        "discovery.v1.EndpointSlice.addressType",
    );
    let path = Path::new("endpoints");
    if slice.endpoints.len() > MAX_ENDPOINTS {
        errors.push(Error::too_many(path.clone(), slice.endpoints.len(), MAX_ENDPOINTS));
    }
    for (i, endpoint) in slice.endpoints.iter().enumerate() {
        validate_endpoint(&mut errors, endpoint, &slice.address_type, &path.index(i));
    }
    ports(&mut errors, &slice.ports, &Path::new("ports"));
    errors
}

fn address_problems(kind: &str, address: &str) -> Problems {
    match kind {
        "IPv4" | "IPv6" => {
            let mut problems = names::endpoint_ip(address);
            if address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_ipv4() != (kind == "IPv4")) {
                problems.push(format!("must be an {kind} address"));
            }
            problems
        }
        "FQDN" => names::dns1123_subdomain(address),
        _ => Problems::new(),
    }
}

fn validate_endpoint(errors: &mut ErrorList, endpoint: &Endpoint, kind: &str, path: &Path) {
    let list = path.child("addresses");
    if endpoint.addresses.is_empty() {
        errors.push(Error::required(list.clone(), "must contain at least 1 address"));
    } else if endpoint.addresses.len() > MAX_ADDRESSES {
        errors.push(Error::too_many(list.clone(), endpoint.addresses.len(), MAX_ADDRESSES));
    }
    for (i, address) in endpoint.addresses.iter().enumerate() {
        check(errors, &list.index(i), address, address_problems(kind, address));
        if endpoint.addresses[..i].contains(address) {
            errors.push(Error::duplicate(list.index(i), address.as_str()));
        }
    }
    if let Some(hostname) = &endpoint.hostname {
        check(errors, &path.child("hostname"), hostname, names::dns1123_label(hostname));
    }
    if let Some(node) = &endpoint.node_name {
        check(errors, &path.child("nodeName"), node, names::dns1123_subdomain(node));
    }
    let zones = endpoint.hints.iter().flat_map(|hints| &hints.for_zones);
    for (i, zone) in zones.enumerate() {
        required(errors, &path.child("hints").child("forZones").index(i).child("name"), &zone.name);
    }
}

fn ports(errors: &mut ErrorList, ports: &[EndpointPort], path: &Path) {
    if ports.len() > MAX_PORTS {
        errors.push(Error::too_many(path.clone(), ports.len(), MAX_PORTS));
    }
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        let name = port.name.as_deref().unwrap_or_default();
        if !name.is_empty() {
            check(errors, &path.child("name"), name, names::dns1123_label(name));
        }
        if ports[..i].iter().any(|other| other.name.as_deref().unwrap_or_default() == name) {
            errors.push(Error::duplicate(path.child("name"), name));
        }
        if let Some(number) = port.port {
            let problems = names::port_number(number);
            errors.extend(problems.into_iter().map(|p| Error::invalid(path.child("port"), number, p)));
        }
        match &port.protocol {
            Some(protocol) => {
                enumerated(errors, &path.child("protocol"), protocol, "discovery.v1.EndpointPort.protocol");
            }
            None => errors.push(Error::required(path.child("protocol"), "")),
        }
        if let Some(protocol) = &port.app_protocol {
            check(errors, &path.child("appProtocol"), protocol, names::qualified_name(protocol));
        }
    }
}

pub(crate) fn slice_update(new: &EndpointSlice, old: &EndpointSlice) -> ErrorList {
    let mut errors = slice(new);
    immutable(&mut errors, &Path::new("addressType"), &new.address_type, &old.address_type);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn slice_of(json: Value) -> EndpointSlice {
        let mut slice: EndpointSlice = serde_json::from_value(json).unwrap();
        crate::defaults::service::endpoint_slice(&mut slice);
        slice
    }

    #[test]
    fn a_slice_has_addresses_of_its_type() {
        let good = json!({
            "addressType": "IPv4", "endpoints": [{ "addresses": ["10.0.0.1"] }], "ports": [{ "port": 80 }],
        });
        assert_eq!(slice(&slice_of(good)), []);
        assert_eq!(texts(&slice(&slice_of(json!({})))), ["addressType: Required value"]);
        let wrong = json!({ "addressType": "IPv4", "endpoints": [
            { "addresses": ["fd00::1"] }, { "addresses": [] }, { "addresses": ["127.0.0.1"] },
        ] });
        assert_eq!(slice(&slice_of(wrong)).len(), 3);
        let twice = json!({ "addressType": "IPv4", "ports": [{ "port": 1 }, { "port": 2 }] });
        assert_eq!(texts(&slice(&slice_of(twice))), ["ports[1].name: Duplicate value: \"\""]);
    }

    #[test]
    fn the_type_stays() {
        let (v4, v6) =
            (slice_of(json!({ "addressType": "IPv4" })), slice_of(json!({ "addressType": "IPv6" })));
        assert_eq!(slice_update(&v6, &v4).len(), 1);
    }

    #[test]
    fn subsets_have_addresses_and_ports() {
        let of = |json: Value| -> Endpoints { serde_json::from_value(json).unwrap() };
        let good = json!({ "subsets": [{
            "addresses": [{ "ip": "10.0.0.1" }], "ports": [{ "port": 80, "protocol": "TCP" }],
        }] });
        assert_eq!(endpoints(&of(good)), []);
        assert_eq!(
            endpoints(&of(json!({ "subsets": [{ "ports": [{ "port": 0, "protocol": "TCP" }] }] }))).len(),
            2
        );
    }
}
