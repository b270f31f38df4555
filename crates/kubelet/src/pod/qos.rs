//! The quality of service class: a function of requests and limits.

use gantry_api::core::v1::{Container, PodSpec};
use gantry_api::scalars::Quantity;

/// How a pod is treated when its node runs short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QosClass {
    /// Every container's limits equal its requests, for CPU and memory.
    Guaranteed,
    /// Some container asks for something.
    Burstable,
    /// Nobody asks for anything.
    BestEffort,
}

impl QosClass {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// The class of a pod.
#[must_use]
pub fn qos_class(spec: &PodSpec) -> QosClass {
    let containers: Vec<&Container> = spec.init_containers.iter().chain(&spec.containers).collect();
    if containers.iter().all(|container| is_best_effort(container)) {
        return QosClass::BestEffort;
    }
    if containers.iter().all(|container| is_guaranteed(container)) {
        return QosClass::Guaranteed;
    }
    QosClass::Burstable
}

const COUNTED: [&str; 2] = ["cpu", "memory"];

fn is_best_effort(container: &Container) -> bool {
    let Some(resources) = &container.resources else { return true };
    COUNTED.iter().all(|name| {
        resources.requests.get(*name).is_none_or(is_zero) && resources.limits.get(*name).is_none_or(is_zero)
    })
}

fn is_guaranteed(container: &Container) -> bool {
    let Some(resources) = &container.resources else { return false };
    COUNTED.iter().all(|name| {
        let Some(limit) = resources.limits.get(*name).filter(|limit| !is_zero(limit)) else { return false };
        resources.requests.get(*name).is_none_or(|request| request.nanos() == limit.nanos())
    })
}

fn is_zero(quantity: &Quantity) -> bool {
    quantity.nanos().unwrap_or_default() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(resources: &[&str]) -> &'static str {
        let containers: Vec<String> =
            resources.iter().map(|r| format!("{{\"name\":\"c\",\"resources\":{r}}}")).collect();
        let spec = format!("{{\"containers\":[{}]}}", containers.join(","));
        qos_class(&serde_json::from_str(&spec).unwrap()).as_str()
    }

    #[test]
    fn classes_are_upstreams() {
        assert_eq!(class(&["{}"]), "BestEffort");
        assert_eq!(class(&[r#"{"requests":{"cpu":"0"}}"#]), "BestEffort");
        assert_eq!(class(&[r#"{"requests":{"cpu":"100m"}}"#]), "Burstable");
        assert_eq!(class(&[r#"{"limits":{"cpu":"1","memory":"1Gi"}}"#]), "Guaranteed");
        assert_eq!(
            class(&[r#"{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"1000m","memory":"1024Mi"}}"#]),
            "Guaranteed"
        );
        assert_eq!(class(&[r#"{"limits":{"cpu":"1","memory":"1Gi"}}"#, "{}"]), "Burstable");
    }
}
