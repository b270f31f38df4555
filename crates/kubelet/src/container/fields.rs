//! What a pod can learn about itself: `fieldRef` and `resourceFieldRef`.

use std::net::IpAddr;

use gantry_api::core::v1::{Container, Pod, ResourceFieldSelector};
use gantry_api::scalars::Quantity;

/// What fields are read from, besides the pod.
#[derive(Debug, Clone, Default)]
pub struct FieldContext {
    /// The pod's addresses.
    pub pod_ips: Vec<IpAddr>,
    /// The node's addresses.
    pub host_ips: Vec<IpAddr>,
    /// The node's CPU in thousandths: what an absent limit means.
    pub node_cpu_milli: i64,
    /// The node's memory in bytes.
    pub node_memory_bytes: i64,
}

/// Why a field cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// There is no such field.
    #[error("fieldPath {0:?} is not supported")]
    UnknownField(String),
    /// There is no such resource.
    #[error("resource {0:?} is not supported")]
    UnknownResource(String),
    /// The selector names a container that the pod does not have.
    #[error("container {0:?} not found in the pod")]
    UnknownContainer(String),
    /// A quantity that is none.
    #[error("divisor {0:?} is not a positive quantity")]
    BadDivisor(String),
}

/// The value of a field path. Labels and annotations as a whole come as one `key="value"` per line.
pub fn field(pod: &Pod, path: &str, context: &FieldContext) -> Result<String, FieldError> {
    let meta = pod.metadata.clone().unwrap_or_default();
    let spec = pod.spec.clone().unwrap_or_default();
    let joined = |ips: &[IpAddr]| ips.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",");
    let first = |ips: &[IpAddr]| ips.first().map(IpAddr::to_string).unwrap_or_default();
    Ok(match path {
        "metadata.name" => meta.name,
        "metadata.namespace" => meta.namespace,
        "metadata.uid" => meta.uid,
        "metadata.labels" => lines(&meta.labels),
        "metadata.annotations" => lines(&meta.annotations),
        "spec.nodeName" => spec.node_name,
        "spec.serviceAccountName" => spec.service_account_name,
        "status.podIP" => first(&context.pod_ips),
        "status.podIPs" => joined(&context.pod_ips),
        "status.hostIP" => first(&context.host_ips),
        "status.hostIPs" => joined(&context.host_ips),
        _ => match subscript(path) {
            Some(("metadata.labels", key)) => meta.labels.get(key).cloned().unwrap_or_default(),
            Some(("metadata.annotations", key)) => meta.annotations.get(key).cloned().unwrap_or_default(),
            _ => return Err(FieldError::UnknownField(path.to_owned())),
        },
    })
}

/// Splits `path['key']`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (path, rest) = path.strip_suffix("']")?.split_once("['")?;
    Some((path, rest))
}

fn lines(map: &std::collections::BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// The value of a resource of `container`, or of the one that the selector names.
pub fn resource(
    pod: &Pod,
    container: Option<&Container>,
    selector: &ResourceFieldSelector,
    context: &FieldContext,
) -> Result<String, FieldError> {
    let spec = pod.spec.clone().unwrap_or_default();
    let named =
        spec.containers.iter().chain(&spec.init_containers).find(|c| c.name == selector.container_name);
    let container = if selector.container_name.is_empty() { container } else { named };
    let container = container.ok_or_else(|| FieldError::UnknownContainer(selector.container_name.clone()))?;
    let resources = container.resources.clone().unwrap_or_default();
    let unknown = || FieldError::UnknownResource(selector.resource.clone());
    let (kind, name) = selector.resource.split_once('.').ok_or_else(unknown)?;
    let amount = match kind {
        "limits" => resources.limits.get(name),
        "requests" => resources.requests.get(name),
        _ => return Err(unknown()),
    };
    let default = match (kind, name) {
        ("limits", "cpu") => i128::from(context.node_cpu_milli) * 1_000_000,
        ("limits", "memory") => i128::from(context.node_memory_bytes) * 1_000_000_000,
        (_, "cpu" | "memory" | "ephemeral-storage") => 0,
        _ if name.starts_with("hugepages-") => 0,
        _ => return Err(unknown()),
    };
    let amount = amount.map_or(Ok(default), Quantity::nanos).map_err(|_| unknown())?;
    let divisor = match &selector.divisor {
        Some(quantity) if !quantity.string.is_empty() && quantity.string != "0" => {
            quantity.nanos().ok().filter(|nanos| *nanos > 0)
        }
        _ => Some(1_000_000_000),
    };
    let text = || selector.divisor.as_ref().map(|d| d.string.clone()).unwrap_or_default();
    let divisor = divisor.ok_or_else(|| FieldError::BadDivisor(text()))?;
    Ok((amount.div_euclid(divisor) + i128::from(amount.rem_euclid(divisor) != 0)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        serde_json::from_str(
            r#"{"metadata":{"name":"p","namespace":"n","uid":"u","labels":{"app":"a","x":"y"}},
                "spec":{"nodeName":"node","serviceAccountName":"sa","containers":[
                  {"name":"c","resources":{"limits":{"cpu":"1500m"},"requests":{"memory":"64Mi"}}}]}}"#,
        )
        .unwrap()
    }

    #[test]
    fn every_supported_field_is_read() {
        let context = FieldContext {
            pod_ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
            host_ips: vec!["10.1.0.1".parse().unwrap()],
            ..FieldContext::default()
        };
        for (path, value) in [
            ("metadata.name", "p"),
            ("metadata.namespace", "n"),
            ("metadata.uid", "u"),
            ("metadata.labels", "app=\"a\"\nx=\"y\""),
            ("metadata.labels['app']", "a"),
            ("metadata.labels['none']", ""),
            ("metadata.annotations", ""),
            ("spec.nodeName", "node"),
            ("spec.serviceAccountName", "sa"),
            ("status.podIP", "10.0.0.1"),
            ("status.podIPs", "10.0.0.1,fd00::1"),
            ("status.hostIP", "10.1.0.1"),
        ] {
            assert_eq!(field(&pod(), path, &context).unwrap(), value, "{path}");
        }
        assert!(field(&pod(), "spec.hostname", &context).is_err());
    }

    #[test]
    fn resources_are_divided_and_rounded_up() {
        let pod = pod();
        let container = pod.spec.as_ref().unwrap().containers.first().unwrap();
        let context =
            FieldContext { node_cpu_milli: 2000, node_memory_bytes: 1 << 30, ..FieldContext::default() };
        for (name, divisor, value) in [
            ("limits.cpu", "", "2"),
            ("limits.cpu", "1m", "1500"),
            ("limits.memory", "1Mi", "1024"),
            ("requests.memory", "1Mi", "64"),
            ("requests.cpu", "1", "0"),
        ] {
            let selector = ResourceFieldSelector {
                resource: name.into(),
                divisor: Some(Quantity { string: divisor.into() }),
                ..Default::default()
            };
            let text = resource(&pod, Some(container), &selector, &context).unwrap();
            assert_eq!(text, value, "{name} by {divisor}");
        }
    }
}
