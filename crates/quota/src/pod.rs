//! What a pod asks for as a whole.

use gantry_api::core::v1::{Container, PodSpec, ResourceRequirements};

use crate::amounts::{Amounts, add, raise};

/// Which side of a container's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What it is promised.
    Requests,
    /// What it may use.
    Limits,
}

impl Side {
    /// This side of the resources.
    #[must_use]
    pub fn of(self, resources: Option<&ResourceRequirements>) -> Amounts {
        resources.map(|resources| self.pick(resources).clone()).unwrap_or_default()
    }

    fn pick(self, resources: &ResourceRequirements) -> &Amounts {
        match self {
            Self::Requests => &resources.requests,
            Self::Limits => &resources.limits,
        }
    }
}

/// The requests or limits of a pod: the sum of its containers and sidecars, or its largest init step where that is
/// more, replaced by what the pod says for itself as a whole, without its overhead.
#[must_use]
pub fn total(spec: &PodSpec, side: Side) -> Amounts {
    let of = |container: &Container| side.of(container.resources.as_ref());
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &of(container));
    }
    // An init container runs beside the sidecars before it and no others.
    let mut sidecars = Amounts::new();
    let mut init_peak = Amounts::new();
    for container in &spec.init_containers {
        let mut step = of(container);
        add(&mut step, &sidecars);
        raise(&mut init_peak, &step);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &of(container));
        }
    }
    add(&mut total, &sidecars);
    raise(&mut total, &init_peak);
    if let Some(resources) = &spec.resources {
        total.extend(side.pick(resources).iter().map(|(name, amount)| (name.clone(), amount.clone())));
    }
    total
}

/// [`total`] with the pod's overhead. A limit grows by it only where there is one.
#[must_use]
pub fn total_with_overhead(spec: &PodSpec, side: Side) -> Amounts {
    let mut total = total(spec, side);
    let mut overhead = spec.overhead.clone();
    if side == Side::Limits {
        overhead.retain(|name, _| total.contains_key(name));
    }
    add(&mut total, &overhead);
    total
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::amounts::describe;

    #[test]
    fn init_steps_count_where_they_need_more_and_the_pod_overrides() {
        let mut spec: PodSpec = serde_json::from_value(json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "200m", "memory": "10Mi"}, "limits": {"cpu": "1"}}},
                {"name": "b", "resources": {"requests": {"cpu": "300m"}}}
            ],
            "initContainers": [
                {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
                {"name": "step", "resources": {"requests": {"cpu": "50m", "memory": "1Gi"}}}
            ],
            "overhead": {"cpu": "5m", "memory": "1Mi"}
        }))
        .unwrap();
        assert_eq!(describe(&total(&spec, Side::Requests)), "cpu=600m,memory=1Gi");
        assert_eq!(describe(&total_with_overhead(&spec, Side::Requests)), "cpu=605m,memory=1025Mi");
        assert_eq!(describe(&total_with_overhead(&spec, Side::Limits)), "cpu=1005m");
        spec.resources = serde_json::from_value(json!({"requests": {"cpu": "2"}})).unwrap();
        assert_eq!(describe(&total(&spec, Side::Requests)), "cpu=2,memory=1Gi");
    }
}
