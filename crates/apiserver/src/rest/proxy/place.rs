//! Where a request goes that names a pod, a service or a node.

use std::net::{IpAddr, SocketAddr};

use gantry_api::Resource as _;
use gantry_api::core::v1::{Endpoints, Node, Pod, Service};

use crate::status::{ApiError, Reason};

/// Where a kubelet listens that does not say.
const KUBELET_PORT: i32 = 10250;

/// A name as the path has it: `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) https: bool,
    pub(super) name: &'a str,
    /// A number or a name; empty where the path says nothing.
    pub(super) port: &'a str,
}

impl<'a> Named<'a> {
    /// Reads a name.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let https = match scheme {
            "" | "http" => false,
            "https" => true,
            _ => return None,
        };
        (!name.is_empty()).then_some(Self { https, name, port })
    }

    fn number(&self, port: &str) -> Result<u16, ApiError> {
        let wrong = || ApiError::bad_request(format!("invalid port {port:?}: it must be a number"));
        port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) https: bool,
    pub(super) address: SocketAddr,
}

/// Where a request to a service may go, if the pod that is said to be there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) place: Place,
    /// The pod's name; it is in the service's namespace.
    pub(super) pod: String,
}

fn unavailable(text: String) -> ApiError {
    ApiError::new(Reason::ServiceUnavailable, text)
}

/// An address outside of the machine itself, and not one of many.
fn allowed(ip: &str) -> Option<IpAddr> {
    let ip: IpAddr = ip.parse().ok()?;
    let local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    };
    (!local && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

/// A pod: on the port that is named, or the first that it declares.
pub(super) fn of_pod(named: &Named<'_>, pod: &Pod) -> Result<Place, ApiError> {
    let declared = || {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        containers.flat_map(|one| one.ports.first()).map(|port| port.container_port.to_string()).next()
    };
    let port = if named.port.is_empty() {
        let default = if named.https { "443" } else { "80" };
        declared().unwrap_or_else(|| default.to_owned())
    } else {
        named.port.to_owned()
    };
    let ip = pod.status.as_ref().map_or("", |status| status.pod_ip.as_str());
    let ip = allowed(ip).ok_or_else(|| ApiError::bad_request("address not allowed"))?;
    Ok(Place { https: named.https, address: SocketAddr::new(ip, named.number(&port)?) })
}

/// The name of the service's port of this number.
pub(super) fn port_name(service: &Service, number: i64) -> Result<String, ApiError> {
    let ports = service.spec.iter().flat_map(|spec| &spec.ports);
    let found = ports.filter(|port| i64::from(port.port) == number).map(|port| port.name.clone()).next();
    found.ok_or_else(|| {
        let name = service.name();
        unavailable(format!("no service port {number} found for service {name:?}"))
    })
}

/// Nobody serves the service.
pub(super) fn no_endpoints(service: &str) -> ApiError {
    unavailable(format!("no endpoints available for service {service:?}"))
}

/// Whether an address is one of the pod's.
pub(super) fn has(pod: &Pod, ip: IpAddr) -> bool {
    let status = pod.status.iter();
    status.flat_map(|status| &status.pod_ips).any(|own| own.ip.parse::<IpAddr>() == Ok(ip))
}

/// A service's endpoints on one of its ports, as far as they say that they are pods of its namespace.
pub(super) fn of_service(
    named: &Named<'_>,
    namespace: &str,
    port: &str,
    endpoints: &Endpoints,
) -> Result<Vec<Candidate>, ApiError> {
    if endpoints.subsets.is_empty() {
        return Err(no_endpoints(named.name));
    }
    let mut all = Vec::new();
    for subset in &endpoints.subsets {
        let Some(port) = subset.ports.iter().find(|one| one.name == port) else { continue };
        let Ok(number) = u16::try_from(port.port) else { continue };
        all.extend(subset.addresses.iter().filter_map(|address| {
            // An address that belongs to no pod could be anybody's.
            let target = address.target_ref.as_ref()?;
            if target.kind != "Pod" || target.namespace != namespace {
                return None;
            }
            let address = SocketAddr::new(allowed(&address.ip)?, number);
            Some(Candidate { place: Place { https: named.https, address }, pod: target.name.clone() })
        }));
    }
    Ok(all)
}

/// A node, on the port that is named.
pub(super) fn of_node(named: &Named<'_>, node: &Node) -> Result<Place, ApiError> {
    let status = node.status.clone().unwrap_or_default();
    let own = status.daemon_endpoints.and_then(|all| all.kubelet_endpoint).map_or(0, |one| one.port);
    let own = if own == 0 { KUBELET_PORT } else { own };
    if named.port.is_empty() || named.port == own.to_string() {
        let text = format!("node {:?}: its kubelet serves gRPC, which goes through no proxy", named.name);
        return Err(unavailable(text));
    }
    let ip = status.addresses.iter().find(|address| address.r#type == "InternalIP");
    let ip = ip.and_then(|address| allowed(&address.address));
    let ip = ip.ok_or_else(|| ApiError::bad_request("address not allowed"))?;
    Ok(Place { https: named.https, address: SocketAddr::new(ip, named.number(named.port)?) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_may_have_a_port_and_a_scheme() {
        let named = |https, name, port| Some(Named { https, name, port });
        assert_eq!(Named::parse("a"), named(false, "a", ""));
        assert_eq!(Named::parse("a:80"), named(false, "a", "80"));
        assert_eq!(Named::parse("https:a:"), named(true, "a", ""));
        assert_eq!(Named::parse("http:a:web"), named(false, "a", "web"));
        for wrong in ["", ":80", "ftp:a:80", "a:b:c:d"] {
            assert_eq!(Named::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_pod_is_reached_on_its_first_port() {
        let pod = |ip: &str| -> Pod {
            serde_json::from_value(json!({
                "spec": {"containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]},
                "status": {"podIP": ip},
            }))
            .unwrap()
        };
        let at = |name: &str, ip: &str| {
            of_pod(&Named::parse(name).unwrap(), &pod(ip))
                .map(|place| (place.https, place.address.to_string()))
        };
        assert_eq!(at("a", "10.0.0.1"), Ok((false, "10.0.0.1:8080".to_owned())));
        assert_eq!(at("https:a:9", "fd00::1"), Ok((true, "[fd00::1]:9".to_owned())));
        for ip in ["", "127.0.0.1", "169.254.169.254", "::1", "fe80::1"] {
            assert_eq!(at("a", ip).unwrap_err().to_string(), "address not allowed", "{ip}");
        }
        assert!(at("a:x", "10.0.0.1").is_err());
    }

    #[test]
    fn a_service_is_reached_at_a_ready_pod_of_its_namespace() {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "s"}, "spec": {"ports": [{"name": "web", "port": 80}, {"port": 81}]},
        }))
        .unwrap();
        assert_eq!(port_name(&service, 80).unwrap(), "web");
        let text = "no service port 82 found for service \"s\"";
        assert_eq!(port_name(&service, 82).unwrap_err().to_string(), text);
        let endpoints: Endpoints = serde_json::from_value(json!({"subsets": [{
            "addresses": [
                {"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "namespace": "n", "name": "p"}},
                {"ip": "10.0.0.9"},
                {"ip": "10.0.0.8", "targetRef": {"kind": "Pod", "namespace": "other", "name": "p"}},
                {"ip": "127.0.0.1", "targetRef": {"kind": "Pod", "namespace": "n", "name": "p"}},
            ],
            "notReadyAddresses": [
                {"ip": "10.0.0.2", "targetRef": {"kind": "Pod", "namespace": "n", "name": "q"}},
            ],
            "ports": [{"name": "web", "port": 8080}],
        }]}))
        .unwrap();
        let named = Named::parse("s:web").unwrap();
        let place = Place { https: false, address: SocketAddr::from(([10, 0, 0, 1], 8080)) };
        let found = of_service(&named, "n", "web", &endpoints).unwrap();
        assert_eq!(found, [Candidate { place, pod: "p".to_owned() }]);
        assert!(of_service(&named, "n", "x", &endpoints).unwrap().is_empty());
        let error = of_service(&named, "n", "web", &Endpoints::default()).unwrap_err();
        assert_eq!(error.to_string(), "no endpoints available for service \"s\"");
    }

    #[test]
    fn an_address_is_the_pods_own() {
        let pod: Pod =
            serde_json::from_value(json!({"status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}}))
                .unwrap();
        let has = |ip: &str| super::has(&pod, ip.parse().unwrap());
        assert_eq!([has("10.0.0.1"), has("fd00:0::1"), has("10.0.0.2")], [true, true, false]);
        assert!(!super::has(&Pod::default(), IpAddr::from([10, 0, 0, 1])));
    }
}
