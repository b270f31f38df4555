//! Ports of the node that lead to a pod.

use std::net::Ipv4Addr;

use gantry_api::core::v1::{ContainerPort, PodSpec};
use gantry_pod_network::{HostPort, Protocol};

use crate::pod::snapshot::is_sidecar;

/// What the pod's containers ask for with `hostPort`. In the node's own network their ports are the node's anyway.
pub fn host_ports(spec: &PodSpec) -> Result<Vec<HostPort>, String> {
    if spec.host_network {
        return Ok(Vec::new());
    }
    let sidecars = spec.init_containers.iter().filter(|container| is_sidecar(container));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
    ports.filter(|port| port.host_port > 0).map(host_port).collect()
}

fn host_port(port: &ContainerPort) -> Result<HostPort, String> {
    let number = |field: &str, value: i32| {
        u16::try_from(value).map_err(|_| format!("{field} {value} is not a port: it must be 1 to 65535"))
    };
    let host_ip = match port.host_ip.as_str() {
        "" | "0.0.0.0" => None,
        text => {
            let ip: Ipv4Addr = text
                .parse()
                .map_err(|_| format!("hostIP {text:?} is not an IPv4 address, which pods have"))?;
            Some(ip)
        }
    };
    let protocol = match port.protocol.as_str() {
        "" | "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        other => return Err(format!("protocol {other:?} of a port must be TCP, UDP or SCTP")),
    };
    Ok(HostPort {
        protocol,
        host_ip,
        host_port: number("hostPort", port.host_port)?,
        pod_port: number("containerPort", port.container_port)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(port: &str, more: &str) -> Result<Vec<HostPort>, String> {
        let text =
            format!(r#"{{"containers":[{{"name":"c","ports":[{{"containerPort":80{port}}}]}}]{more}}}"#);
        host_ports(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn only_host_ports_of_pods_with_a_network_of_their_own_count() {
        let wanted = HostPort { protocol: Protocol::Udp, host_ip: None, host_port: 8080, pod_port: 80 };
        assert_eq!(ports(r#","hostPort":8080,"protocol":"UDP""#, ""), Ok(vec![wanted]));
        assert_eq!(ports("", ""), Ok(vec![]));
        assert_eq!(ports(r#","hostPort":8080"#, r#","hostNetwork":true"#), Ok(vec![]));
        let here = ports(r#","hostPort":1,"hostIP":"10.1.0.1""#, "").unwrap();
        assert_eq!(here[0].host_ip, Some(Ipv4Addr::new(10, 1, 0, 1)));
        assert!(ports(r#","hostPort":1,"hostIP":"::1""#, "").unwrap_err().contains("::1"));
        assert!(ports(r#","hostPort":70000"#, "").unwrap_err().contains("70000"));
    }
}
