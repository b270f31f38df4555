//! Amounts of resources as integers: what nodes offer and pods request.

use std::collections::BTreeMap;

use gantry_api::scalars::Quantity;

use crate::pod::{Amount, Container, Pod, PodSpec};

/// CPU that a container without a request counts for when nodes are scored: 0.1 of a core.
const DEFAULT_MILLI_CPU: i64 = 100;
/// Memory that a container without a request counts for when nodes are scored: 200 MiB.
const DEFAULT_MEMORY: i64 = 200 << 20;

/// Amounts of resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes of local storage.
    pub ephemeral_storage: i64,
    /// All others by name, such as `example.com/gpu`.
    pub extended: BTreeMap<String, i64>,
}

impl Resources {
    /// Reads a list of quantities; what is no quantity counts as zero (the API server refuses such objects).
    #[must_use]
    pub fn from_list(list: &BTreeMap<String, Quantity>) -> Self {
        Self::collect(list.iter().map(|(name, quantity)| (name.as_str(), quantity)))
    }

    /// Reads the amounts of a pod.
    fn from_amounts(list: &[Amount]) -> Self {
        Self::collect(list.iter().filter_map(|one| Some((one.resource.as_str(), one.amount.as_ref()?))))
    }

    fn collect<'a>(list: impl Iterator<Item = (&'a str, &'a Quantity)>) -> Self {
        let mut amounts = Self::default();
        for (name, quantity) in list {
            match name {
                "cpu" => amounts.milli_cpu = quantity.milli().unwrap_or(0),
                "memory" => amounts.memory = quantity.units().unwrap_or(0),
                "ephemeral-storage" => amounts.ephemeral_storage = quantity.units().unwrap_or(0),
                "pods" => {}
                _ => {
                    amounts.extended.insert(name.to_owned(), quantity.units().unwrap_or(0));
                }
            }
        }
        amounts
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    /// Takes `other` away.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, i64::saturating_sub);
    }

    /// Raises each amount to that of `other`.
    fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, with: fn(i64, i64) -> i64) {
        self.milli_cpu = with(self.milli_cpu, other.milli_cpu);
        self.memory = with(self.memory, other.memory);
        self.ephemeral_storage = with(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.extended {
            let mine = self.extended.entry(name.clone()).or_default();
            *mine = with(*mine, *amount);
        }
    }
}

/// What a pod asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodRequests {
    /// What must fit.
    pub required: Resources,
    /// What counts when nodes are scored: containers without a request get a default.
    pub for_scoring: Resources,
}

impl PodRequests {
    /// The requests of `pod`: the sum of its containers and sidecars, or its largest init step where that is more,
    /// plus its overhead.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        Self { required: sum(spec, requests), for_scoring: sum(spec, requests_or_defaults) }
    }
}

fn sum(spec: &PodSpec, of: fn(&Container) -> Resources) -> Resources {
    let mut total = Resources::default();
    for container in &spec.containers {
        total.add(&of(container));
    }
    // An init container runs beside the sidecars before it and no others.
    let mut sidecars = Resources::default();
    let mut init_peak = Resources::default();
    for container in &spec.init_containers {
        let mut step = of(container);
        step.add(&sidecars);
        init_peak.raise_to(&step);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars.add(&of(container));
        }
    }
    total.add(&sidecars);
    total.raise_to(&init_peak);
    total.add(&Resources::from_amounts(&spec.overhead));
    total
}

fn requests(container: &Container) -> Resources {
    container
        .resources
        .as_ref()
        .map(|resources| Resources::from_amounts(&resources.requests))
        .unwrap_or_default()
}

fn requests_or_defaults(container: &Container) -> Resources {
    let mut amounts = requests(container);
    let asks = |name: &str| {
        container.resources.iter().flat_map(|r| &r.requests).any(|amount| amount.resource == name)
    };
    if !asks("cpu") {
        amounts.milli_cpu = DEFAULT_MILLI_CPU;
    }
    if !asks("memory") {
        amounts.memory = DEFAULT_MEMORY;
    }
    amounts
}

#[cfg(test)]
mod tests {
    use super::PodRequests;
    use crate::testing::pod;

    #[test]
    fn init_containers_count_only_where_they_need_more() {
        let pod = pod(serde_json::json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "200m", "memory": "10Mi"}}},
                {"name": "b", "resources": {"requests": {"cpu": "300m"}}}
            ],
            "initContainers": [
                {"name": "sidecar", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
                {"name": "migrate", "resources": {"requests": {"cpu": "50m", "memory": "1Gi"}}}
            ],
            "overhead": {"cpu": "5m"}
        }));
        let required = PodRequests::of(&pod).required;
        assert_eq!(required.milli_cpu, 605);
        assert_eq!(required.memory, 1 << 30);
    }
}
