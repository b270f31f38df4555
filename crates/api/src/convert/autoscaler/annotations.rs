//! What the annotations of version 1 hold: metrics in the words of that time, and the behaviour in upstream's own.

use serde::{Deserialize, Serialize};

use crate::autoscaling::{v1, v2};
use crate::meta::v1::LabelSelector;
use crate::scalars::Quantity;

/// An amount that is written also where there is none.
fn or_zero(amount: Option<Quantity>) -> Quantity {
    amount.unwrap_or_else(|| Quantity::from_units(0))
}

macro_rules! annotation {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(super) struct $name {
            $(#[serde(skip_serializing_if = "absent")] $field: $type,)*
        }
    };
}

/// Whether a field is left out: an option that is none.
fn absent<T: MayBeAbsent>(value: &T) -> bool {
    value.is_absent()
}

trait MayBeAbsent {
    fn is_absent(&self) -> bool;
}

impl<T> MayBeAbsent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl MayBeAbsent for String {
    fn is_absent(&self) -> bool {
        false
    }
}

impl MayBeAbsent for Quantity {
    fn is_absent(&self) -> bool {
        false
    }
}

impl MayBeAbsent for v1::CrossVersionObjectReference {
    fn is_absent(&self) -> bool {
        false
    }
}

annotation!(
    /// What is measured.
    MetricSpec {
        r#type: String,
        object: Option<ObjectSource>,
        pods: Option<PodsSource>,
        resource: Option<ResourceSource>,
        container_resource: Option<ContainerSource>,
        external: Option<ExternalSource>,
    }
);
annotation!(ObjectSource {
    target: v1::CrossVersionObjectReference,
    metric_name: String,
    target_value: Quantity,
    selector: Option<LabelSelector>,
    average_value: Option<Quantity>,
});
annotation!(PodsSource { metric_name: String, target_average_value: Quantity, selector: Option<LabelSelector> });
annotation!(ResourceSource {
    name: String,
    target_average_utilization: Option<i32>,
    target_average_value: Option<Quantity>,
});
annotation!(ContainerSource {
    name: String,
    target_average_utilization: Option<i32>,
    target_average_value: Option<Quantity>,
    container: String,
});
annotation!(ExternalSource {
    metric_name: String,
    metric_selector: Option<LabelSelector>,
    target_value: Option<Quantity>,
    target_average_value: Option<Quantity>,
});
annotation!(
    /// What was measured.
    MetricStatus {
        r#type: String,
        object: Option<ObjectStatus>,
        pods: Option<PodsStatus>,
        resource: Option<ResourceStatus>,
        container_resource: Option<ContainerStatus>,
        external: Option<ExternalStatus>,
    }
);
annotation!(ObjectStatus {
    target: v1::CrossVersionObjectReference,
    metric_name: String,
    current_value: Quantity,
    selector: Option<LabelSelector>,
    average_value: Option<Quantity>,
});
annotation!(PodsStatus { metric_name: String, current_average_value: Quantity, selector: Option<LabelSelector> });
annotation!(ResourceStatus {
    name: String,
    current_average_utilization: Option<i32>,
    current_average_value: Quantity,
});
annotation!(ContainerStatus {
    name: String,
    current_average_utilization: Option<i32>,
    current_average_value: Quantity,
    container: String,
});
annotation!(ExternalStatus {
    metric_name: String,
    metric_selector: Option<LabelSelector>,
    current_value: Quantity,
    current_average_value: Option<Quantity>,
});

fn identifier(name: String, selector: Option<LabelSelector>) -> Option<v2::MetricIdentifier> {
    Some(v2::MetricIdentifier { name, selector })
}

fn target(value: Option<Quantity>, average: Option<Quantity>, percent: Option<i32>) -> v2::MetricTarget {
    v2::MetricTarget { r#type: String::new(), value, average_value: average, average_utilization: percent }
}

fn of_type(r#type: &str, target: v2::MetricTarget) -> Option<v2::MetricTarget> {
    Some(v2::MetricTarget { r#type: r#type.to_owned(), ..target })
}

fn current(
    value: Option<Quantity>,
    average: Option<Quantity>,
    percent: Option<i32>,
) -> Option<v2::MetricValueStatus> {
    Some(v2::MetricValueStatus { value, average_value: average, average_utilization: percent })
}

impl From<MetricSpec> for v2::MetricSpec {
    fn from(metric: MetricSpec) -> Self {
        let resource_target = |percent: Option<i32>, average| {
            let r#type = if percent.is_some() { "Utilization" } else { "AverageValue" };
            of_type(r#type, target(None, average, percent))
        };
        Self {
            r#type: metric.r#type,
            object: metric.object.map(|source| v2::ObjectMetricSource {
                described_object: Some(source.target.into()),
                target: of_type(
                    if source.average_value.is_some() { "AverageValue" } else { "Value" },
                    target(Some(source.target_value), source.average_value, None),
                ),
                metric: identifier(source.metric_name, source.selector),
            }),
            pods: metric.pods.map(|source| v2::PodsMetricSource {
                metric: identifier(source.metric_name, source.selector),
                target: of_type("AverageValue", target(None, Some(source.target_average_value), None)),
            }),
            resource: metric.resource.map(|source| v2::ResourceMetricSource {
                name: source.name,
                target: resource_target(source.target_average_utilization, source.target_average_value),
            }),
            container_resource: metric.container_resource.map(|source| v2::ContainerResourceMetricSource {
                name: source.name,
                target: resource_target(source.target_average_utilization, source.target_average_value),
                container: source.container,
            }),
            external: metric.external.map(|source| v2::ExternalMetricSource {
                metric: identifier(source.metric_name, source.metric_selector),
                target: of_type(
                    if source.target_value.is_some() { "Value" } else { "AverageValue" },
                    target(source.target_value, source.target_average_value, None),
                ),
            }),
        }
    }
}

impl From<v2::MetricSpec> for MetricSpec {
    fn from(metric: v2::MetricSpec) -> Self {
        Self {
            r#type: metric.r#type,
            object: metric.object.map(|source| {
                let (metric, target) = (source.metric.unwrap_or_default(), source.target.unwrap_or_default());
                ObjectSource {
                    target: source.described_object.unwrap_or_default().into(),
                    metric_name: metric.name,
                    target_value: or_zero(target.value),
                    selector: metric.selector,
                    average_value: target.average_value,
                }
            }),
            pods: metric.pods.map(|source| {
                let (metric, target) = (source.metric.unwrap_or_default(), source.target.unwrap_or_default());
                PodsSource {
                    metric_name: metric.name,
                    target_average_value: or_zero(target.average_value),
                    selector: metric.selector,
                }
            }),
            resource: metric.resource.map(|source| {
                let target = source.target.unwrap_or_default();
                ResourceSource {
                    name: source.name,
                    target_average_utilization: target.average_utilization,
                    target_average_value: target.average_value,
                }
            }),
            container_resource: metric.container_resource.map(|source| {
                let target = source.target.unwrap_or_default();
                ContainerSource {
                    name: source.name,
                    target_average_utilization: target.average_utilization,
                    target_average_value: target.average_value,
                    container: source.container,
                }
            }),
            external: metric.external.map(|source| {
                let (metric, target) = (source.metric.unwrap_or_default(), source.target.unwrap_or_default());
                ExternalSource {
                    metric_name: metric.name,
                    metric_selector: metric.selector,
                    target_value: target.value,
                    target_average_value: target.average_value,
                }
            }),
        }
    }
}

impl From<MetricStatus> for v2::MetricStatus {
    fn from(metric: MetricStatus) -> Self {
        Self {
            r#type: metric.r#type,
            object: metric.object.map(|status| v2::ObjectMetricStatus {
                metric: identifier(status.metric_name, status.selector),
                current: current(Some(status.current_value), status.average_value, None),
                described_object: Some(status.target.into()),
            }),
            pods: metric.pods.map(|status| v2::PodsMetricStatus {
                metric: identifier(status.metric_name, status.selector),
                current: current(None, Some(status.current_average_value), None),
            }),
            resource: metric.resource.map(|status| v2::ResourceMetricStatus {
                name: status.name,
                current: current(
                    None,
                    Some(status.current_average_value),
                    status.current_average_utilization,
                ),
            }),
            container_resource: metric.container_resource.map(|status| v2::ContainerResourceMetricStatus {
                name: status.name,
                current: current(
                    None,
                    Some(status.current_average_value),
                    status.current_average_utilization,
                ),
                container: status.container,
            }),
            external: metric.external.map(|status| v2::ExternalMetricStatus {
                metric: identifier(status.metric_name, status.metric_selector),
                current: current(Some(status.current_value), status.current_average_value, None),
            }),
        }
    }
}

impl From<v2::MetricStatus> for MetricStatus {
    fn from(metric: v2::MetricStatus) -> Self {
        Self {
            r#type: metric.r#type,
            object: metric.object.map(|status| {
                let (metric, current) =
                    (status.metric.unwrap_or_default(), status.current.unwrap_or_default());
                ObjectStatus {
                    target: status.described_object.unwrap_or_default().into(),
                    metric_name: metric.name,
                    current_value: or_zero(current.value),
                    selector: metric.selector,
                    average_value: current.average_value,
                }
            }),
            pods: metric.pods.map(|status| {
                let (metric, current) =
                    (status.metric.unwrap_or_default(), status.current.unwrap_or_default());
                PodsStatus {
                    metric_name: metric.name,
                    current_average_value: or_zero(current.average_value),
                    selector: metric.selector,
                }
            }),
            resource: metric.resource.map(|status| {
                let current = status.current.unwrap_or_default();
                ResourceStatus {
                    name: status.name,
                    current_average_utilization: current.average_utilization,
                    current_average_value: or_zero(current.average_value),
                }
            }),
            container_resource: metric.container_resource.map(|status| {
                let current = status.current.unwrap_or_default();
                ContainerStatus {
                    name: status.name,
                    current_average_utilization: current.average_utilization,
                    current_average_value: or_zero(current.average_value),
                    container: status.container,
                }
            }),
            external: metric.external.map(|status| {
                let (metric, current) =
                    (status.metric.unwrap_or_default(), status.current.unwrap_or_default());
                ExternalStatus {
                    metric_name: metric.name,
                    metric_selector: metric.selector,
                    current_value: or_zero(current.value),
                    current_average_value: current.average_value,
                }
            }),
        }
    }
}

/// How fast replicas come and go: under the names that upstream's code has for the fields, since that is what its
/// servers write and read. Readers there take any capitals.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Behavior {
    #[serde(alias = "scaleUp")]
    scale_up: Option<Rules>,
    #[serde(alias = "scaleDown")]
    scale_down: Option<Rules>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Rules {
    #[serde(alias = "stabilizationWindowSeconds")]
    stabilization_window_seconds: Option<i32>,
    #[serde(alias = "selectPolicy")]
    select_policy: Option<String>,
    #[serde(alias = "policies")]
    policies: Option<Vec<Policy>>,
    #[serde(alias = "tolerance")]
    tolerance: Option<Quantity>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Policy {
    #[serde(alias = "type")]
    r#type: String,
    #[serde(alias = "value")]
    value: i32,
    #[serde(alias = "periodSeconds")]
    period_seconds: i32,
}

impl From<Behavior> for v2::HorizontalPodAutoscalerBehavior {
    fn from(behavior: Behavior) -> Self {
        let policy = |policy: Policy| v2::HpaScalingPolicy {
            r#type: policy.r#type,
            value: policy.value,
            period_seconds: policy.period_seconds,
        };
        let rules = |rules: Rules| v2::HpaScalingRules {
            select_policy: rules.select_policy,
            policies: rules.policies.unwrap_or_default().into_iter().map(policy).collect(),
            stabilization_window_seconds: rules.stabilization_window_seconds,
            tolerance: rules.tolerance,
        };
        Self { scale_up: behavior.scale_up.map(rules), scale_down: behavior.scale_down.map(rules) }
    }
}

impl From<v2::HorizontalPodAutoscalerBehavior> for Behavior {
    fn from(behavior: v2::HorizontalPodAutoscalerBehavior) -> Self {
        let policy = |policy: v2::HpaScalingPolicy| Policy {
            r#type: policy.r#type,
            value: policy.value,
            period_seconds: policy.period_seconds,
        };
        let rules = |rules: v2::HpaScalingRules| Rules {
            stabilization_window_seconds: rules.stabilization_window_seconds,
            select_policy: rules.select_policy,
            policies: (!rules.policies.is_empty()).then(|| rules.policies.into_iter().map(policy).collect()),
            tolerance: rules.tolerance,
        };
        Self { scale_up: behavior.scale_up.map(rules), scale_down: behavior.scale_down.map(rules) }
    }
}
